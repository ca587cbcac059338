import { resolve } from 'node:path';
import type { RayEvent } from './events.js';
import { expandShards, partOf, type ShardPart } from '../expand.js';
import type { ShardLine } from '../events.js';
import { entryOf, openManifest } from '../manifest.js';
import { isS3, type ShardFormat } from '../names.js';
import type { ShardsSummary } from '../score-shards.js';
import { createStores } from '../store/open-stores.js';
import { readRayHead, type RayHeadOptions } from './head.js';
import type { RayJob } from './job.js';
import { runOnRay, stopOnRay } from './run-on-ray.js';

/** Shards for a Ray cluster, and how they are scored. Local names must mean the same files on all nodes. */
export interface RayShardsOptions {
  readonly head: RayHeadOptions;
  readonly patterns: readonly string[];
  readonly part: ShardPart | undefined;
  readonly out: string;
  readonly format: ShardFormat;
  /** Arguments of `qalign score` for each shard worker, without `--out`, `--device` and shards. */
  readonly args: readonly string[];
  readonly device: RayJob['device'];
  readonly actors: number | undefined;
  readonly cpus: number | undefined;
  readonly signal: AbortSignal;
  readonly onShards: (shards: readonly ShardLine[]) => void;
  /** Called with the id of the job, and whether it was running before. */
  readonly onJob: (id: string, attached: boolean) => void;
  readonly onEvent: (event: RayEvent) => void;
}

/**
 * Scores shards on a Ray cluster, or attaches to the running job of the same shards. The list of shards is made here
 * once; results are those of a local run.
 * @throws QalignError those of `readRayHead`, `expandShards` and `runOnRay`
 */
export async function scoreShardsOnRay(options: RayShardsOptions): Promise<ShardsSummary> {
  const { out, part, signal } = options;
  const started = performance.now();
  const head = await readRayHead(options.head);
  const job = await jobOf(options);
  options.onShards(job.shards.map((line, index) => ({ ...line, index })));
  const count = { written: 0, present: 0, failed: 0, items: 0, failedItems: 0 };
  const stores = createStores({ signal });
  try {
    const manifest = await openManifest(stores, out, part);
    let adding = Promise.resolve();
    const onEvent = (event: RayEvent): void => {
      if (event.event === 'failed') count.failed += 1;
      if (event.event === 'done') {
        count[event.commit] += 1;
        count.items += event.items;
        count.failedItems += event.failed;
      }
      if (event.event === 'failed' || event.event === 'done') adding = adding.then(() => manifest.add(entryOf(event)));
      options.onEvent(event);
    };
    try {
      if (job.shards.length > 0) await runOnRay({ head, job, signal, onJob: options.onJob, onEvent });
    } finally {
      await adding;
      await manifest.save();
    }
  } finally {
    await stores.close();
  }
  return { shards: job.shards.length, ...count, seconds: Math.round(performance.now() - started) / 1000 };
}

/** Stops the running job of these shards. Returns its id, or undefined if none runs. */
export async function stopShardsOnRay(options: RayShardsOptions): Promise<string | undefined> {
  return stopOnRay(await readRayHead(options.head), await jobOf(options));
}

async function jobOf(options: RayShardsOptions): Promise<RayJob> {
  const { patterns, part, format, args, device, actors, cpus, signal } = options;
  const shards = partOf(await expandShards(patterns, { format, signal }), part);
  const out = isS3(options.out) ? options.out : resolve(options.out);
  return {
    command: ['qalign', 'score', '--shard-worker', '--out', out, '--format', format, ...args],
    device,
    actors,
    cpus,
    shards: shards.map(({ shard, output }) => ({ shard: isS3(shard) ? shard : resolve(shard), output })),
  };
}
