import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { GpuCheck } from '../../../bridge/protocol/gpu-check.js';
import { problemWith } from '../../../bridge/validate.js';
import { QalignError } from '../../base/errors.js';
import { reasonOf } from '../../base/files/reason.js';
import type { PythonCommand } from '../../engine/python/environment.js';

const WRITE_ONE = 'create one with "qalign bench gpu"';

/**
 * Reads a file that the GPU check wrote.
 * @throws QalignError CONFIG_NOT_FOUND if it cannot be read, CONFIG_INVALID if it is another kind of file
 */
export async function readGpuCheck(file: string): Promise<GpuCheck> {
  const text = await readFile(file, 'utf8').catch((cause: Error) => {
    throw new QalignError('CONFIG_NOT_FOUND', `${file} cannot be read: ${reasonOf(cause)}; ${WRITE_ONE}.`, { cause });
  });
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new QalignError(
      'CONFIG_INVALID',
      `${file} is not a GPU check: it is not valid JSON (${(cause as Error).message}); ${WRITE_ONE}.`,
      { cause },
    );
  }
  const { kind, format } = (value ?? {}) as Partial<Record<'kind' | 'format', unknown>>;
  if (kind !== 'qalign_gpu_check')
    throw new QalignError('CONFIG_INVALID', `${file} is not a GPU check, but another kind of JSON; ${WRITE_ONE}.`);
  if (format !== 1)
    throw new QalignError(
      'CONFIG_INVALID',
      `${file} is a GPU check of format ${JSON.stringify(format)}, and this qalign reads format 1; read it with the qalign that wrote it.`,
    );
  const problem = problemWith(GpuCheck, value);
  if (problem !== undefined)
    throw new QalignError('CONFIG_INVALID', `${file} is a damaged GPU check (${problem}); ${WRITE_ONE}.`);
  return value as GpuCheck;
}

/**
 * Runs `python -m qalign.worker --gpu-check` with these arguments, which writes `out`. `onLine` receives its progress.
 * @throws QalignError WORKER_INTERNAL if it ends without a readable file
 */
export async function runGpuCheck(
  python: PythonCommand,
  out: string,
  args: readonly string[],
  { onLine, signal }: { readonly onLine: (line: string) => void; readonly signal?: AbortSignal },
): Promise<GpuCheck> {
  const child = spawn(python.executable, ['-m', 'qalign.worker', '--gpu-check', '--out', out, ...args], {
    env: { ...process.env, ...python.env },
    stdio: ['ignore', 'ignore', 'pipe'],
    ...(signal === undefined ? {} : { signal }),
  });
  let last = 'no output';
  createInterface(child.stderr).on('line', (line) => {
    last = line.trim() === '' ? last : line.trim();
    if (line.startsWith('gpu-check: ')) onLine(line.slice('gpu-check: '.length));
  });
  const [code] = (await once(child, 'close')) as [number | null];
  // 1: a part failed, 3: it ended early; the file has the reason of both
  if (code !== 0 && code !== 1 && code !== 3)
    throw new QalignError('WORKER_INTERNAL', `The GPU check failed (${last.replace(/^gpu-check: /, '')}).`);
  return readGpuCheck(out);
}
