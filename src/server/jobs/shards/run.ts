import { createReadStream } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { QalignError, type ErrorCode } from '../../../base/errors.js';
import { wholeLines } from '../../../base/files/lines.js';
import type { ShardEvent } from '../../../recipes/shards/events.js';
import { parseKeep } from '../../../recipes/shards/keep.js';
import { entryOf, openManifest, type Manifest, type ManifestEntry } from '../../../recipes/shards/manifest.js';
import { shardScorerOf } from '../../../recipes/shards/model.js';
import { runShards } from '../../../recipes/shards/run-shards.js';
import type { ShardRun, ShardScorer } from '../../../recipes/shards/score-shard.js';
import type { Stores } from '../../../recipes/shards/store/store.js';
import { mediaLimits } from '../../score/request-source.js';
import { untilWritten, type WaitForRoom } from '../disk-room.js';
import { isDown, isLost, PAUSE_MS } from '../item.js';
import type { ActiveJob } from '../queue.js';
import type { JobResults } from '../results.js';
import { SAVE_MS, takeCounts, type RunJobParts } from '../run-parts.js';
import { readShardList, type ShardPlan } from './list.js';
import { createJobStores } from './stores.js';

/** State of a line of the results: a failed shard counts as a failed entry. */
export const shardStateOf = ([entry]: readonly ManifestEntry[]): { failed: boolean; warned: boolean } => ({
  failed: entry?.state === 'failed',
  warned: false,
});

/**
 * Scores the shards of a job that have no line in its results yet. Errors that can pass are tried again; everything
 * waits while no worker or no disk space is there.
 *
 * @throws QalignError of the job as a whole; an error of one shard is a line of the results
 */
export async function writeShards(
  entry: ActiveJob,
  plan: ShardPlan,
  results: JobResults<ManifestEntry>,
  wait: WaitForRoom,
  parts: RunJobParts,
): Promise<void> {
  const { signal } = entry.stop;
  const attempt = { number: 1 };
  for (;;) {
    try {
      return await writeRest(entry, plan, results, wait, parts, attempt);
    } catch (error) {
      signal.throwIfAborted();
      const isCounted = !isDown(error);
      if (isCounted && !(canPass(error) && attempt.number < parts.config.jobs.attempts)) throw error;
      if (isCounted) attempt.number += 1;
      else wait.onWait((error as Error).message);
      await sleep(PAUSE_MS, undefined, { signal });
    }
  }
}

const canPass = (error: unknown): boolean => error instanceof QalignError && (error.retryable || isLost(error));

/** One attempt. `attempt` is that of the shard at hand. */
async function writeRest(
  entry: ActiveJob,
  plan: ShardPlan,
  results: JobResults<ManifestEntry>,
  wait: WaitForRoom,
  parts: RunJobParts,
  attempt: { number: number },
): Promise<void> {
  const { job, stop } = entry;
  const { config, models, folders, journal, metrics } = parts;
  const stores = createJobStores(config, stop.signal);
  try {
    const manifest = await openManifest(stores, plan.out, undefined);
    let items = await recorded(folders.results(job.id), results.bytes, manifest);
    let saved = performance.now();
    const tell = async (): Promise<void> => {
      if (performance.now() - saved < SAVE_MS) return;
      saved = performance.now();
      journal.save(job);
      await journal.tell(job);
    };
    const onEvent = async (event: ShardEvent): Promise<void> => {
      if (job.status !== 'running') journal.note(job, 'running');
      if (event.event === 'progress') job.items = items + event.items;
      if (event.event === 'failed' || event.event === 'done') {
        if (event.event === 'failed') throwIfPassing(event.error.code, event.error.message, attempt, config.jobs);
        const line = entryOf(event);
        await manifest.add(line);
        await untilWritten(() => results.append([line]), wait);
        await untilWritten(() => results.sync(), wait);
        metrics.countShard(event);
        items += line.items ?? 0;
        attempt.number = 1;
        takeCounts(job, results);
        job.items = items;
      }
      await tell();
    };
    let model: ShardScorer | undefined;
    const loop = {
      out: plan.out,
      model: async () => (model ??= shardScorerOf(models.get(job.plan.model))),
      version: async () => models.get(job.plan.model).scoreVersion,
      onEvent,
    };
    try {
      await runShards(readShardList(folders.manifest(job.id), results.items), runOf(entry, plan, stores, parts), loop);
    } finally {
      await manifest.save().catch((error: unknown) => {
        if (!stop.signal.aborted) throw error;
      });
    }
  } finally {
    await stores.close();
  }
}

const runOf = ({ job, stop }: ActiveJob, plan: ShardPlan, stores: Stores, { config }: RunJobParts): ShardRun => ({
  stores,
  format: plan.format,
  tasks: job.plan.tasks,
  strict: job.plan.strict === true,
  allowUrls: config.allow_urls,
  limit: plan.limit,
  keep: plan.keep === undefined ? undefined : parseKeep(plan.keep),
  limits: mediaLimits(config),
  signal: stop.signal,
});

/** Throws the error of a shard that is tried again. */
function throwIfPassing(
  code: string,
  message: string,
  attempt: { readonly number: number },
  { attempts }: RunJobParts['config']['jobs'],
): void {
  const error = new QalignError(code as ErrorCode, message);
  if (isDown(error) || (canPass(error) && attempt.number < attempts)) throw error;
}

/** Adds the lines of the results to the manifest. @returns the number of items in them */
async function recorded(path: string, bytes: number, manifest: Manifest): Promise<number> {
  let items = 0;
  if (bytes === 0) return items;
  for await (const { text } of wholeLines(createReadStream(path, { end: bytes - 1 }))) {
    const line = JSON.parse(text) as ManifestEntry;
    items += line.items ?? 0;
    await manifest.add(line);
  }
  return items;
}
