/** Runs `qalign serve` as a process that is killed and restarted on one port, and finds its child processes. */
import { spawn, type ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { packageRoot } from '../../src/base/package-root.js';

/** A variable in the environment of the service and of all its child processes. */
const MARK = `QALIGN_CHAOS=${randomBytes(8).toString('hex')}`;

export interface Service {
  readonly url: string;
  readonly port: number;
  /** The pid of the running service. */
  pid(): number | undefined;
  start(): Promise<void>;
  /** Ends it and waits for its end. */
  stop(signal: 'SIGKILL' | 'SIGTERM'): Promise<void>;
  /** Starts a second service on the same folder: its output and exit code (undefined: still running after a minute). */
  second(): Promise<{ code: number | undefined; said: string }>;
}

/** `overrides` come last on its command line. */
export async function createService(
  dataDir: string,
  root: string,
  logged: (text: string) => void,
  overrides: readonly string[] = ['device=cpu,cpu'],
): Promise<Service> {
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  let child: ChildProcess | undefined;
  const launch = (onPort: number): ChildProcess => {
    const words = ['serve', `port=${onPort}`, `data_dir=${dataDir}`, `root=${root}`];
    const more = ['models=[tiny-untrained]', 'rate_per_minute=0', 'log_level=warn', ...overrides];
    const main = join(packageRoot, 'src/cli/main.ts');
    return spawn(process.execPath, ['--import', 'tsx', main, ...words, ...more], {
      cwd: packageRoot,
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { ...process.env, QALIGN_CHAOS: MARK.split('=')[1] },
    });
  };
  return {
    url,
    port,
    pid: () => child?.pid,
    async start() {
      const started = launch(port);
      child = started;
      started.stderr?.setEncoding('utf8').on('data', logged);
      for (const end = Date.now() + 180_000; Date.now() < end; await sleep(200)) {
        if (started.exitCode !== null) throw new Error(`the service ended with ${started.exitCode}`);
        if (await isReady(url)) return;
      }
      throw new Error('the service was not ready within 180 s');
    },
    async stop(signal) {
      const running = child;
      if (running === undefined || running.exitCode !== null || running.signalCode !== null) return;
      const exited = new Promise((resolve) => running.once('exit', resolve));
      running.kill(signal);
      await exited;
    },
    async second() {
      const other = launch(0);
      let said = '';
      other.stderr?.setEncoding('utf8').on('data', (text: string) => (said = (said + text).slice(-4000)));
      const code = await Promise.race([
        new Promise<number>((resolve) => other.once('exit', (status) => resolve(status ?? -1))),
        sleep(60_000, undefined, { ref: false }),
      ]);
      if (code === undefined) other.kill('SIGKILL');
      return { code, said };
    },
  };
}

export const isReady = (url: string): Promise<boolean> =>
  fetch(`${url}/readyz`, { signal: AbortSignal.timeout(5000) }).then(
    ({ ok }) => ok,
    () => false,
  );

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** All living processes that any service of this run started. */
export function processes(): { pid: number; parent: number; command: string; state: string }[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      try {
        if (!readFileSync(`/proc/${name}/environ`, 'utf8').split('\0').includes(MARK)) return [];
        const stat = readFileSync(`/proc/${name}/stat`, 'utf8').split(') ').at(-1)?.split(' ') ?? [];
        const command = readFileSync(`/proc/${name}/cmdline`, 'utf8').replaceAll('\0', ' ').trim();
        return [{ pid: Number(name), parent: Number(stat[1]), command, state: stat[0] ?? '' }];
      } catch {
        return []; // it has ended
      }
    });
}

/** The workers of a service. */
export const workersOf = (service: number | undefined): number[] =>
  processes()
    .filter(({ parent, command }) => parent === service && command.includes('qalign.worker'))
    .map(({ pid }) => pid);

export function signal(pid: number, name: NodeJS.Signals): boolean {
  try {
    return process.kill(pid, name);
  } catch {
    return false; // it has ended
  }
}
