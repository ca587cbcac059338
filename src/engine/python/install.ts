import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { QalignError } from '../../base/errors.js';

const KEPT_LINES = 40;

/**
 * Runs its arguments with an empty stdin, as the leader of a process group. The stdin of this shell closes when the
 * Node process dies, even after kill -9, and the whole group is then killed. Otherwise pip would keep running for
 * minutes.
 */
const WATCHED = `
exec 3<&0 </dev/null
(while read -r _ <&3; do :; done; kill -KILL 0) >/dev/null 2>&1 &
exec 3<&-
exec "$@"
`;

/**
 * Runs a setup step (venv, pip) and passes its output lines to `onLine`.
 * @throws QalignError PYTHON_SETUP_FAILED with the likely cause
 */
export async function runSetupStep(
  what: string,
  executable: string,
  args: readonly string[],
  options: { onLine?: (line: string) => void; signal?: AbortSignal | undefined } = {},
): Promise<void> {
  const child = spawn('/bin/sh', ['-c', WATCHED, 'sh', executable, ...args], {
    detached: true, // starts a new process group
    stdio: ['pipe', 'pipe', 'pipe'],
    env: { ...process.env, PIP_DISABLE_PIP_VERSION_CHECK: '1', PYTHONPATH: '' },
  });
  child.stdin.on('error', () => {});
  child.once('exit', () => child.stdin.end());
  const kill = (): void => endGroup(child.pid);
  options.signal?.addEventListener('abort', kill, { once: true });
  const lines: string[] = [];
  const read = (stream: Readable): void => {
    createInterface({ input: stream }).on('line', (line) => {
      lines.push(line);
      if (lines.length > KEPT_LINES) lines.shift();
      options.onLine?.(line);
    });
  };
  read(child.stdout);
  read(child.stderr);
  if (options.signal?.aborted === true) kill();
  try {
    const [code] = (await once(child, 'close')) as [number | null];
    options.signal?.throwIfAborted();
    if (code !== 0) throw new QalignError('PYTHON_SETUP_FAILED', explain(what, lines), { details: { output: lines } });
  } catch (error) {
    if (error instanceof QalignError || options.signal?.aborted === true) throw error;
    throw new QalignError('PYTHON_SETUP_FAILED', `${what} failed to start: ${(error as Error).message}.`, {
      cause: error,
    });
  } finally {
    options.signal?.removeEventListener('abort', kill);
  }
}

function endGroup(leader: number | undefined): void {
  try {
    if (leader !== undefined) process.kill(-leader, 'SIGTERM');
  } catch {
    // the group has ended already
  }
}

const ownEnvironment = 'create an environment yourself and set QALIGN_PYTHON to its interpreter';

/** Summarises the long output of pip and venv in one message. */
function explain(what: string, lines: readonly string[]): string {
  const text = lines.join('\n');
  if (/No space left on device|Disk quota exceeded|Errno 28/i.test(text)) {
    return `${what} failed because the disk is full; free disk space or set QALIGN_CACHE to a folder on a larger disk, and run the command again.`;
  }
  if (
    /ConnectionError|Max retries|NewConnectionError|name resolution|Network is unreachable|Could not fetch URL|ProxyError|Read timed out|ConnectTimeout|SSLError/i.test(
      text,
    )
  ) {
    return `${what} failed because the package index cannot be reached. Check the network (or the index and proxy of pip), or ${ownEnvironment}.`;
  }
  const other = /DO NOT MATCH THE HASHES[^]*?^\s+(\S+).* from /m.exec(text);
  if (other !== null) {
    return `${what} failed because the package index has a file of ${other[1]} that does not match the lock file of qalign. Use an index with the published files, or ${ownEnvironment}.`;
  }
  const unknown = /No matching distribution found for (\S+)/.exec(text);
  if (unknown !== null) {
    return `${what} failed because the package index has no ${unknown[1]} for this Python and machine. Use another Python (3.10 to 3.13), or ${ownEnvironment}.`;
  }
  const last = lines.filter((line) => /error/i.test(line)).at(-1) ?? lines.at(-1) ?? 'no output';
  return `${what} failed (${last.trim()}). Fix the problem, or ${ownEnvironment}.`;
}
