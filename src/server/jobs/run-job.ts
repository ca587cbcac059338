import { QalignError } from '../../base/errors.js';
import { orderedMap } from '../../base/ordered-map.js';
import { stateOf, type ScoreOutcome } from '../../api/result.js';
import { untilWritten, type WaitForRoom } from './disk-room.js';
import { createItemScorer } from './item.js';
import { readManifest } from './manifest.js';
import type { ActiveJob } from './queue.js';
import { openLines, openResults, type JobResults } from './results.js';
import { SAVE_MS, takeCounts, type RunJobParts } from './run-parts.js';
import { shardStateOf, writeShards } from './shards/run.js';
import type { StoredJob } from './store.js';
import type { TracedJob } from '../traces/traces.js';

/** Items in flight while the model is not loaded. */
const UNKNOWN_WIDTH = 128;

/** Scores the remaining items of a job, from the first item or from where the previous process ended. */
export async function runJob(entry: ActiveJob, parts: RunJobParts): Promise<void> {
  const { job, stop } = entry;
  const { folders, journal, models, traces } = parts;
  const traced = traces.job(job.plan.traceparent);
  const wait: WaitForRoom = { signal: stop.signal, onWait: (reason) => journal.note(job, 'waiting', reason) };
  let results: JobResults<never> | undefined;
  const open = async <T>(opening: () => Promise<JobResults<T>>): Promise<JobResults<T>> => {
    const opened = await untilWritten(opening, wait);
    results = opened;
    takeCounts(job, opened);
    Object.assign(entry, { startedAt: performance.now(), doneAtStart: opened.items });
    journal.note(job, 'running');
    return opened;
  };
  try {
    await journal.mend(job.id);
    await models.load(job.plan.model);
    const { shards, tasks } = job.plan;
    if (shards === undefined) {
      const items = await open(() => openResults(folders.results(job.id), tasks.length));
      await writeAll(entry, items, scoreRest(entry, items.items, parts, traced), wait, parts);
    } else {
      const ofShards = await open(() => openLines(folders.results(job.id), 1, shardStateOf));
      await writeShards(entry, shards, ofShards, wait, parts);
    }
    if (results !== undefined) takeCounts(job, results); // results are complete on disk before the status is
    journal.end(job, 'completed');
  } catch (error) {
    endEarly(job, error as Error, parts);
  } finally {
    await results?.sync().catch(() => {});
    if (results !== undefined) takeCounts(job, results);
    await results?.close().catch(() => {});
    journal.save(job);
    if (job.finishedAt !== undefined) await journal.tell(job);
    traced?.end(job);
  }
}

/** Outcomes of the items from number `done` on, in the order of the list. */
function scoreRest(
  { job, stop: { signal } }: ActiveJob,
  done: number,
  { config, models, isAllowedAddress, storage: shared, folders, journal, traces }: RunJobParts,
  traced: TracedJob | undefined,
): AsyncIterable<ScoreOutcome[]> {
  const onWait = (reason: string): void => journal.note(job, 'waiting', reason);
  const storage = { ...shared, memory: shared.memory.of(job.owner) };
  return orderedMap(
    readManifest(folders.manifest(job.id), done),
    config.jobs.in_flight ?? models.loaded.get(job.plan.model)?.width() ?? UNKNOWN_WIDTH,
    createItemScorer({ config, models, plan: job.plan, isAllowedAddress, storage, traces, traced, signal, onWait }),
    signal,
  );
}

async function writeAll(
  { job }: ActiveJob,
  results: JobResults,
  outcomes: AsyncIterable<ScoreOutcome[]>,
  wait: WaitForRoom,
  { metrics, journal }: Pick<RunJobParts, 'metrics' | 'journal'>,
): Promise<void> {
  let saved = performance.now();
  for await (const ofItem of outcomes) {
    await untilWritten(() => results.append(ofItem), wait);
    metrics.countItem(stateOf(ofItem));
    if (job.status !== 'running') journal.note(job, 'running');
    if (performance.now() - saved < SAVE_MS) continue;
    await untilWritten(() => results.sync(), wait);
    takeCounts(job, results);
    journal.save(job);
    await journal.tell(job);
    saved = performance.now();
  }
}

/** An error during shutdown or after a cancellation is not a failure of the job. */
function endEarly(job: StoredJob, error: Error, { journal, log, isEnding }: RunJobParts): void {
  if (isEnding()) return journal.save(job);
  if (job.finishedAt !== undefined) return;
  const message =
    error instanceof QalignError
      ? error.message
      : 'The job failed with an internal error; the log of the service has details.';
  journal.end(job, 'failed', message);
  log.error('a job failed', { job: job.id, reason: error.message, stack: error.stack });
}
