import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { statfs } from 'node:fs/promises';
import { cpus, totalmem } from 'node:os';
import { dirname, resolve } from 'node:path';
import { promisify } from 'node:util';
import { formatGigabytes } from '../../base/units.js';
import type { FittedRecipe } from '../../config/train.js';
import type { MemoryEstimate } from './memory-estimate.js';

const run = promisify(execFile);

export interface Gpu {
  readonly name: string;
  readonly bytes: number;
}

/** Resources of this machine, as far as they are known without PyTorch. */
export interface Machine {
  /** Undefined if there are GPU devices but `nvidia-smi` does not list them. */
  readonly gpus: readonly Gpu[] | undefined;
  readonly cores: number;
  /** Memory that this process can use; in a container its limit. */
  readonly memoryBytes: number;
  /** Free disk space for runs. */
  readonly diskBytes: number;
  /** Free disk space in the model cache. */
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

/** Parses lines such as `NVIDIA H200, 143771` (MiB). Skips GPUs without a memory size. */
export function parseGpus(text: string): Gpu[] {
  return text.split('\n').flatMap((line) => {
    const [, name, mebibytes] = /^(.+), *(\d+)$/.exec(line.trim()) ?? [];
    return name === undefined ? [] : [{ name, bytes: Number(mebibytes) * 2 ** 20 }];
  });
}

/** Selects the GPUs in CUDA_VISIBLE_DEVICES by number. For names in another form only their count is used. */
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

/** Disk space in bytes for prepared pictures and for a model that must be downloaded. */
export interface DiskNeeds {
  readonly prepared: number;
  readonly download: number;
}

/** Models with fewer parameters can be trained on a CPU in hours. */
const SMALL = 1e8;

const countOf = (n: number): string =>
  n >= 1e9 ? `${(n / 1e9).toPrecision(2)} billion` : `${(n / 1e6).toPrecision(2)} million`;

/**
 * Reasons why this machine cannot run the recipe, as clauses; empty if it can.
 * @param estimate undefined if the sizes of the model are not known
 */
export function misfits(
  estimate: MemoryEstimate | undefined,
  recipe: Pick<FittedRecipe, 'device' | 'processes' | 'hosts' | 'keep_checkpoints' | 'keep_best'>,
  machine: Machine,
  { prepared, download }: DiskNeeds,
): string[] {
  const gb = formatGigabytes;
  const local = Math.ceil(recipe.processes / recipe.hosts);
  const { checkpointBytes, exportBytes } = estimate ?? { checkpointBytes: 0, exportBytes: 0 };
  const perGpuBytes = estimate === undefined ? 0 : Math.max(estimate.perGpuBytes, estimate.startGpuBytes);
  const startBytes = (estimate?.startHostBytes ?? 0) * local;
  const total = estimate === undefined ? undefined : Object.values(estimate.parameters).reduce((a, b) => a + b, 0);
  const found: string[] = [];
  if (recipe.device === 'cuda' && machine.gpus !== undefined) {
    const least = machine.gpus.slice(0, local).sort((a, b) => a.bytes - b.bytes)[0];
    if (least === undefined)
      found.push(
        `the recipe trains ${total === undefined ? '' : `${countOf(total)} parameters `}on CUDA, but this machine has no GPU${total !== undefined && total < SMALL ? ' (device=cpu trains them without one)' : ''}`,
      );
    else if (machine.gpus.length < local)
      found.push(`it needs ${local} GPUs on this machine, which has ${machine.gpus.length}`);
    if (least !== undefined && least.bytes < perGpuBytes)
      found.push(`it needs ${gb(perGpuBytes)} per GPU, but ${least.name} has ${gb(least.bytes)}`);
  }
  if (recipe.device === 'cpu' && perGpuBytes * local > machine.memoryBytes)
    found.push(`it needs ${gb(perGpuBytes * local)} of memory, but this machine has ${gb(machine.memoryBytes)}`);
  if (recipe.device === 'cuda' && startBytes > machine.memoryBytes)
    found.push(`the start needs ${gb(startBytes)} of memory, but this machine has ${gb(machine.memoryBytes)}`);
  if (recipe.device === 'cuda' && exportBytes > machine.memoryBytes)
    found.push(`the export needs ${gb(exportBytes)} of memory, but this machine has ${gb(machine.memoryBytes)}`);
  if (recipe.device === 'cuda' && checkpointBytes / recipe.hosts > machine.memoryBytes)
    found.push(
      `writing a checkpoint needs ${gb(checkpointBytes / recipe.hosts)} of memory, but this machine has ${gb(machine.memoryBytes)}`,
    );
  const bests = recipe.keep_best === null ? 0 : 1;
  const onDisk = prepared + checkpointBytes * (recipe.keep_checkpoints + 1 + bests) + exportBytes * (1 + bests);
  if (onDisk > machine.diskBytes)
    found.push(
      `pictures, checkpoints and models need ${gb(onDisk)} of disk space, but ${gb(machine.diskBytes)} are free`,
    );
  if (download > machine.modelDiskBytes)
    found.push(
      `the model needs ${gb(download)} of disk space, but ${gb(machine.modelDiskBytes)} are free in the model cache`,
    );
  return found;
}
