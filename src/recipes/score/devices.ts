import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { PythonCommand } from '../../engine/python/environment.js';
import { QalignError } from '../../base/errors.js';
import { countGpus, gpuHost } from '../../engine/python/count-gpus.js';

const run = promisify(execFile);

/**
 * Resolves `auto` or a comma-separated list of devices. `auto` is every CUDA device that torch finds, otherwise the
 * CPU. Each device of a list gets one worker. Valid devices are `cpu`, `cuda` (the first), `cuda:1` or `1`. `remote` is
 * a worker that connects from another host, `remote:2` two of them.
 *
 * @throws QalignError USAGE for an unknown device or a repeated CUDA device
 */
export async function resolveDevices(
  text: string,
  python: PythonCommand,
  signal?: AbortSignal,
  count: typeof cudaCount = cudaCount,
): Promise<string[]> {
  const named = requireDevices(text);
  if (named !== undefined) return named;
  const gpus = await count(python, signal);
  return gpus === 0 ? ['cpu'] : Array.from({ length: gpus }, (_, index) => `cuda:${index}`);
}

/**
 * Parses a list of devices; undefined for `auto`.
 * @throws QalignError USAGE for an unknown device or a repeated CUDA device
 */
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

/** Importing torch takes two seconds. It is skipped if the number is known and this torch is built for CUDA. */
const COUNT = `
import importlib.util, os, sys
spec = importlib.util.find_spec("torch")
if sys.argv[1] and spec and os.path.exists(os.path.join(os.path.dirname(spec.origin), "lib", "libtorch_cuda.so")):
    print(sys.argv[1])
else:
    import torch
    print(torch.cuda.device_count())
`;

async function cudaCount(python: PythonCommand, signal?: AbortSignal): Promise<number> {
  const known = countGpus(gpuHost);
  if (known === 0) return 0;
  const { stdout } = await run(python.executable, ['-c', COUNT, String(known ?? '')], {
    env: { ...process.env, ...python.env },
    ...(signal === undefined ? {} : { signal }),
  });
  return Number(stdout.trim());
}
