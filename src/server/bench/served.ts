import { spawn } from 'node:child_process';
import { openSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { QalignError } from '../../base/errors.js';

/** A service in its own process, started as a user starts it. */
export interface Served {
  readonly url: string;
  readonly pid: number;
  /** Resident memory of the service and of its workers in MB, read from /metrics. */
  memory(): Promise<{ node_mb: number; workers_mb: number }>;
  /** Connections that the service reset because too many were open. */
  dropped(): Promise<number>;
  stop(): Promise<void>;
}

/**
 * Starts this program with `serve` and waits until it is ready. @throws QalignError WORKER_START_FAILED with the end of
 * its log
 */
export async function startServed(overrides: readonly string[], signal: AbortSignal | undefined): Promise<Served> {
  const folder = await mkdtemp(join(tmpdir(), 'qalign-bench-serve-'));
  const log = join(folder, 'log.jsonl');
  const out = openSync(log, 'a');
  const child = spawn(
    process.execPath,
    [
      ...process.execArgv,
      process.argv[1] ?? '',
      'serve',
      'port=0',
      'rate_per_minute=0',
      `data_dir=${join(folder, 'data')}`,
      ...overrides,
    ],
    { stdio: ['ignore', out, out] },
  );
  let ended = false;
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve(void (ended = true))));
  const stop = async (): Promise<void> => {
    child.kill('SIGTERM');
    const hard = setTimeout(() => child.kill('SIGKILL'), 30_000);
    await exited;
    clearTimeout(hard);
    await rm(folder, { recursive: true, force: true });
  };
  try {
    for (;;) {
      signal?.throwIfAborted();
      const text = await readFile(log, 'utf8');
      if (ended)
        throw new QalignError('WORKER_START_FAILED', `The service to measure did not start: ${text.slice(-500)}`);
      const url = /"message":"listening","url":"([^"]+)"/.exec(text)?.[1];
      if (url !== undefined && (await fetch(`${url}/readyz`)).ok)
        return { url, pid: child.pid ?? 0, memory: () => readMemory(url), dropped: () => readDropped(url), stop };
      await sleep(200);
    }
  } catch (error) {
    await stop();
    throw error;
  }
}

const readMetrics = async (url: string): Promise<string> => (await fetch(`${url}/metrics`)).text();

async function readDropped(url: string): Promise<number> {
  return Number(/^qalign_rejects_total\{reason="CONNECTIONS"\} (\d+)$/m.exec(await readMetrics(url))?.[1] ?? 0);
}

async function readMemory(url: string): Promise<{ node_mb: number; workers_mb: number }> {
  const text = await readMetrics(url);
  const sum = (name: string): number =>
    [...text.matchAll(new RegExp(`^${name}(?:\\{[^}]*\\})? ([0-9.e+]+)$`, 'gm'))].reduce(
      (all, [, value]) => all + Number(value),
      0,
    );
  return {
    node_mb: sum('process_resident_memory_bytes') / 2 ** 20,
    workers_mb: sum('qalign_worker_resident_bytes') / 2 ** 20,
  };
}
