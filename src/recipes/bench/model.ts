import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { QalignError } from '../../base/errors.js';
import type { PythonCommand } from '../../engine/python/environment.js';

/**
 * Runs `python -m qalign.worker --bench` with these arguments, which measures the model with the engine and with the
 * literal implementation. Returns its JSON.
 */
export async function benchModel(
  python: PythonCommand,
  args: readonly string[],
  signal?: AbortSignal,
): Promise<Record<string, unknown>> {
  const child = spawn(python.executable, ['-m', 'qalign.worker', '--bench', '--json', ...args], {
    env: { ...process.env, ...python.env },
    stdio: ['ignore', 'pipe', 'pipe'],
    ...(signal === undefined ? {} : { signal }),
  });
  let [out, err] = ['', ''];
  child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (err = (err + chunk.toString()).slice(-2000)));
  const [code] = (await once(child, 'close')) as [number | null];
  if (code !== 0)
    throw new QalignError(
      'WORKER_INTERNAL',
      `Measuring the model failed (${err.trim().split('\n').at(-1) ?? 'no output'}).`,
    );
  return JSON.parse(out) as Record<string, unknown>;
}
