import { spawn, type ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { packageRoot } from '../../src/base/package-root.js';
import { createClient, type QalignClient } from '../../src/client/client.js';

export interface ServeProcess {
  readonly url: string;
  readonly client: QalignClient;
  readonly child: ChildProcess;
  /** The exit code or signal. */
  readonly exited: Promise<number | string>;
}

/** Runs `qalign serve` in a separate process, as a shell does; resolves when a model is loaded. */
export async function startProcess(dataDir: string, overrides: readonly string[] = []): Promise<ServeProcess> {
  const child = spawn(
    process.execPath,
    [
      '--import',
      'tsx',
      join(packageRoot, 'src/cli/main.ts'),
      'serve',
      'port=0',
      `data_dir=${dataDir}`,
      'device=cpu',
      'models=[tiny-untrained]',
      'rate_per_minute=0',
      ...overrides,
    ],
    { cwd: packageRoot, stdio: ['ignore', 'ignore', 'pipe'] },
  );
  const exited = new Promise<number | string>((resolve) =>
    child.once('exit', (code, signal) => resolve(signal ?? code ?? -1)),
  );
  let text = '';
  child.stderr?.setEncoding('utf8').on('data', (chunk: string) => (text = (text + chunk).slice(-100_000)));
  for (;;) {
    if (child.exitCode !== null) throw new Error(`the service ended: ${text}`);
    const url = /"message":"listening","url":"([^"]+)"/.exec(text)?.[1];
    if (url !== undefined && text.includes('"message":"loaded"')) {
      const client = createClient({ url, retries: 0 });
      if (await client.ready()) return { url, client, child, exited };
    }
    await sleep(50);
  }
}
