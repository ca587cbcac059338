import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { QalignError } from '../../../base/errors.js';
import { packageRoot, packageVersion } from '../../../base/package-root.js';
import type { ShardLine } from '../events.js';
import { zip } from './zip.js';

/** What a Ray job computes. */
export interface RayJob {
  /** The command line of a shard worker on the nodes, without `--device`. */
  readonly command: readonly string[];
  /** `auto`: GPUs if the cluster has any. */
  readonly device: 'auto' | 'cpu' | 'cuda';
  /** Inputs and the names of their results, in order. */
  readonly shards: readonly Omit<ShardLine, 'index'>[];
  /**
   * Number of workers.
   * @default as many as the cluster has GPUs, or nodes without them
   */
  readonly actors?: number | undefined;
  /**
   * CPUs that each worker reserves.
   * @default the share of a GPU, or those of the smallest node
   */
  readonly cpus?: number | undefined;
}

/** Ray keeps packages in the memory of the head, and refuses larger ones. */
const MOST_BYTES = 100_000_000;
/** `python` is the one with ray on the head, because Ray starts it. */
export const ENTRYPOINT = 'exec python -m qalign.ray';
const DRIVER = join(packageRoot, 'python', 'qalign', 'ray');

/**
 * The name of a job. The same work has the same name, so that the same command finds its job again. The number of
 * workers is not part of it. The weights are not part of it either, because only the nodes have them.
 */
export function rayJobName({ command, device, shards }: RayJob): string {
  const everything = [packageVersion, command, device, shards.map(({ shard, output }) => [shard, output])];
  return `qalign-${createHash('sha256').update(JSON.stringify(everything)).digest('hex').slice(0, 16)}`;
}

/**
 * The package that a job runs in: its driver and its description. Thousands of names of shards do not fit into a
 * command line.
 * @throws QalignError USAGE if the list of shards is too long for Ray
 */
export async function packRayJob(job: RayJob): Promise<{ name: string; bytes: Buffer }> {
  const files: Record<string, Uint8Array> = { 'qalign/__init__.py': Buffer.alloc(0) };
  const names = (await readdir(DRIVER)).filter((name) => name.endsWith('.py')).sort();
  for (const name of names) files[`qalign/ray/${name}`] = await readFile(join(DRIVER, name));
  const { command, device, shards, actors = null, cpus = null } = job;
  files['job.json'] = Buffer.from(JSON.stringify({ version: packageVersion, command, device, actors, cpus, shards }));
  const bytes = zip(files);
  if (bytes.length > MOST_BYTES)
    throw new QalignError(
      'USAGE',
      `qalign score: the list of ${shards.length} shards takes ${bytes.length} bytes, and Ray takes ${MOST_BYTES}; split it with --shard i/n.`,
    );
  const digest = createHash('sha256').update(bytes).digest('hex').slice(0, 32);
  return { name: `_ray_pkg_${digest}.zip`, bytes };
}
