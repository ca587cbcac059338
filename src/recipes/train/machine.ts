import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { statfs } from 'node:fs/promises';
import { cpus, totalmem } from 'node:os';
import { dirname, resolve } from 'node:path';
import { promisify } from 'node:util';
import { formatGigabytes } from '../../base/units.js';
import type { TrainRecipe } from '../../config/train.js';
import type { MemoryEstimate } from './memory-estimate.js';

const run = promisify(execFile);

export interface Gpu {
  readonly name: string;
  readonly bytes: number;
}

/** What this machine has, as far as it can be told without PyTorch. */
export interface Machine {
  /** Undefined where there are devices and nothing says which. */
  readonly gpus: readonly Gpu[] | undefined;
  readonly cores: number;
  /** What this process may use: of a container its limit. */
  readonly memoryBytes: number;
  /** Free where runs are made. */
  readonly diskBytes: number;
  /** Free where models are fetched to. */
  readonly modelDiskBytes: number;
}

export async function readMachine(runs: string, models: string): Promise<Machine> {
  const limit = process.constrainedMemory();
  return {
    gpus: await readGpus(),
    cores: cpus().length,
    memoryBytes: limit > 0 && limit < totalmem() ? limit : totalmem(),
    diskBytes: await freeAt(runs),
    modelDiskBytes: await freeAt(models),
  };
}

export async function readGpus(): Promise<Gpu[] | undefined> {
  try {
    const { stdout } = await run('nvidia-smi', ['--query-gpu=name,memory.total', '--format=csv,noheader,nounits'], {
      timeout: 10_000,
    });
    return visibleGpus(parseGpus(stdout), process.env['CUDA_VISIBLE_DEVICES']);
  } catch {
    return ['/dev/nvidiactl', '/dev/dxg', '/dev/kfd'].some(existsSync) ? undefined : [];
  }
}

/** Lines of `NVIDIA H200, 143771`, in MiB. A GPU whose memory is unknown is left out. */
export function parseGpus(text: string): Gpu[] {
  return text.split('\n').flatMap((line) => {
    const [, name, mebibytes] = /^(.+), *(\d+)$/.exec(line.trim()) ?? [];
    return name === undefined ? [] : [{ name, bytes: Number(mebibytes) * 2 ** 20 }];
  });
}

/** Those that CUDA_VISIBLE_DEVICES leaves. It names them by number; of other names only the count is taken. */
export function visibleGpus(gpus: readonly Gpu[], visible: string | undefined): Gpu[] {
  if (visible === undefined) return [...gpus];
  const named = visible.split(',').map((word) => word.trim());
  if (named.every((word) => /^\d+$/.test(word))) return named.flatMap((word) => gpus[Number(word)] ?? []);
  return visible === '' || visible === '-1' ? [] : gpus.slice(0, named.length);
}

async function freeAt(folder: string): Promise<number> {
  let place = resolve(folder);
  while (!existsSync(place)) place = dirname(place);
  const { bavail, bsize } = await statfs(place);
  return bavail * bsize;
}

/** Bytes on the disks: prepared pictures, and a model that is not here yet. */
export interface DiskNeeds {
  readonly prepared: number;
  readonly download: number;
}

/** Models below it can be trained on a CPU in hours. */
const SMALL = 1e8;

const countOf = (n: number): string =>
  n >= 1e9 ? `${(n / 1e9).toPrecision(2)} billion` : `${(n / 1e6).toPrecision(2)} million`;

/** Why this machine cannot do what the recipe asks for, a clause each; none where it can. */
export function misfits(
  { perGpuBytes, checkpointBytes, parameters }: MemoryEstimate,
  recipe: Pick<TrainRecipe, 'device' | 'processes' | 'hosts' | 'keep_checkpoints'>,
  machine: Machine,
  { prepared, download }: DiskNeeds,
): string[] {
  const gb = formatGigabytes;
  const local = Math.ceil(recipe.processes / recipe.hosts);
  const total = parameters.vision + parameters.abstractor + parameters.language + parameters.lora;
  const found: string[] = [];
  if (recipe.device === 'cuda' && machine.gpus !== undefined) {
    const least = machine.gpus.slice(0, local).sort((a, b) => a.bytes - b.bytes)[0];
    if (least === undefined)
      found.push(
        `the recipe trains ${countOf(total)} parameters on CUDA and this machine has no GPU${total < SMALL ? ' (device=cpu trains them without one)' : ''}`,
      );
    else if (machine.gpus.length < local)
      found.push(`it wants ${local} GPUs here and there are ${machine.gpus.length}`);
    if (least !== undefined && least.bytes < perGpuBytes)
      found.push(`it takes ${gb(perGpuBytes)} a GPU and ${least.name} has ${gb(least.bytes)}`);
  }
  if (recipe.device === 'cpu' && perGpuBytes * local > machine.memoryBytes)
    found.push(`it takes ${gb(perGpuBytes * local)} of memory and this machine has ${gb(machine.memoryBytes)}`);
  if (recipe.device === 'cuda' && checkpointBytes / recipe.hosts > machine.memoryBytes)
    found.push(
      `a checkpoint takes ${gb(checkpointBytes / recipe.hosts)} of memory while it is written and this machine has ${gb(machine.memoryBytes)}`,
    );
  const onDisk = prepared + checkpointBytes * (recipe.keep_checkpoints + 1);
  if (onDisk > machine.diskBytes)
    found.push(`pictures and checkpoints take ${gb(onDisk)} of disk and ${gb(machine.diskBytes)} are free`);
  if (download > machine.modelDiskBytes)
    found.push(`the model takes ${gb(download)} of disk and ${gb(machine.modelDiskBytes)} are free in its cache`);
  return found;
}
