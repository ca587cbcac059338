import { spawn } from 'node:child_process';

/** The opener of this platform and its arguments; undefined without a display. */
export function openerOf(
  platform: NodeJS.Platform,
  environment: Readonly<Record<string, string | undefined>>,
): readonly [command: string, ...args: string[]] | undefined {
  if (platform === 'darwin') return ['open'];
  if (platform === 'win32') return ['cmd', '/c', 'start', ''];
  return environment['DISPLAY'] || environment['WAYLAND_DISPLAY'] ? ['xdg-open'] : undefined;
}

/** Opens an address in the browser, if there is a display. It never fails: the address is printed anyway. */
export function openBrowser(url: string): void {
  const opener = openerOf(process.platform, process.env);
  if (opener === undefined) return;
  const [command, ...args] = opener;
  try {
    const child = spawn(command, [...args, url], { detached: true, stdio: 'ignore' });
    child.on('error', () => {}); // no opener is installed
    child.unref();
  } catch {
    // the system cannot start another process
  }
}
