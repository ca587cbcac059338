import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { promisify } from 'node:util';
import type { PythonCommand } from '../../engine/python/environment.js';
import { QalignError } from '../../base/errors.js';

const run = promisify(execFile);

/**
 * `auto` → the first CUDA device if torch sees one, else the CPU; else a list, one worker on each: `cpu`, `cuda:1` or
 * just `1` (`cuda` is the first), `remote` (`remote:2` are two) for workers that connect from elsewhere.
 *
 * @throws QalignError USAGE for anything else
 */
export async function resolveDevices(text: string, python: PythonCommand, signal?: AbortSignal): Promise<string[]> {
  const named = requireDevices(text);
  return named ?? ((await cudaCount(python, signal)) > 0 ? ['cuda:0'] : ['cpu']);
}

/** The devices that a text names; undefined for `auto`. @throws QalignError USAGE for anything else */
export function requireDevices(text: string): string[] | undefined {
  if (text === 'auto') return undefined;
  const devices = text.split(',').flatMap((part) => devicesOf(part.trim()) ?? [undefined]);
  const gpus = devices.filter((device) => device?.startsWith('cuda:'));
  if (devices.includes(undefined) || new Set(gpus).size < gpus.length) {
    throw new QalignError(
      'USAGE',
      `--device ${text} is not valid; write auto, cpu, cuda:N, different numbers like 0,1, or remote:N.`,
    );
  }
  return devices as string[];
}

function devicesOf(part: string): string[] | undefined {
  if (part === 'cpu' || part === 'remote') return [part];
  if (part === 'cuda') return ['cuda:0'];
  const remotes = /^remote:([1-9]\d{0,2})$/.exec(part)?.[1];
  if (remotes !== undefined) return Array.from({ length: Number(remotes) }, () => 'remote');
  const gpu = /^(?:cuda:)?(\d{1,3})$/.exec(part)?.[1];
  return gpu === undefined ? undefined : [`cuda:${Number(gpu)}`];
}

/** Torch is asked (two seconds) only where the driver's device files say that there is something to find. */
async function cudaCount(python: PythonCommand, signal?: AbortSignal): Promise<number> {
  if (!existsSync('/dev/nvidiactl') && !existsSync('/dev/dxg') && !existsSync('/dev/kfd')) return 0;
  const { stdout } = await run(python.executable, ['-c', 'import torch; print(torch.cuda.device_count())'], {
    env: { ...process.env, ...python.env },
    ...(signal === undefined ? {} : { signal }),
  });
  return Number(stdout.trim());
}
