import { existsSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ServeConfig } from '../../config/serve.js';
import { QalignError } from '../../base/errors.js';
import type { Logger } from '../../base/logger.js';
import { orderedMap } from '../../base/ordered-map.js';
import { isFailure, type ScoreOutcome } from '../../api/result.js';
import { mendEvents, writeEvent } from '../run-events.js';
import { createItemScorer } from './item.js';
import { readManifest } from './manifest.js';
import { openResults, type JobResults } from './results.js';
import type { JobStore, StoredJob } from './store.js';
import type { Metrics } from '../metrics.js';
import type { ModelPool } from '../score/model-pool.js';
import type { BodyStorage } from '../http/upload.js';

const SAVE_MS = 500;
/** Between tries to write to a full disk. */
const RETRY_MS = 2_000;
const TIDY_MS = 3_600_000;
/** Items in flight of a model that is not loaded yet. */
const UNKNOWN_WIDTH = 128;

export interface JobRunner {
  /** The folder of a job: its list, results and events. */
  folder(id: string): string;
  /** Removes what a killed service had not accepted yet, and what is past its days; before anything new comes. */
  recover(): void;
  /**
   * Work on a job that does not exist yet: one at a time for an id, for the same Idempotency-Key may come twice at
   * once.
   */
  alone<T>(id: string, work: () => Promise<T>): Promise<T>;
  /** Takes up a job that lies in the store. */
  submit(job: StoredJob): void;
  /** The job as it is now; of a running one the latest numbers. */
  current(id: string): StoredJob | undefined;
  /** True until its last event is written. */
  isActive(id: string): boolean;
  /** Items per second of a running job. */
  pace(id: string): number | undefined;
  cancel(id: string): StoredJob | undefined;
  /** Goes on with what an earlier process left. */
  resume(): void;
  /** Stops feeding, saves where every job is. */
  close(): Promise<void>;
}

export interface JobRunnerParts {
  readonly config: ServeConfig;
  readonly root: string;
  readonly store: JobStore;
  readonly models: ModelPool;
  readonly metrics: Metrics;
  readonly log: Logger;
  readonly hold: BodyStorage;
  readonly isAllowedAddress?: ((address: string) => boolean) | undefined;
}

interface Active {
  readonly job: StoredJob;
  readonly stop: AbortController;
  startedAt: number | undefined;
  doneAtStart: number;
}

export function createJobRunner({
  config,
  root,
  store,
  models,
  metrics,
  log,
  hold,
  isAllowedAddress,
}: JobRunnerParts): JobRunner {
  const active = new Map<string, Active>();
  const waiting: Active[] = [];
  const running = new Set<Promise<void>>();
  const turns = new Map<string, Promise<unknown>>();
  let closed = false;
  const folder = (id: string): string => join(root, id);

  const startNext = (): void => {
    while (!closed && running.size < config.jobs.concurrent) {
      const next = waiting.shift();
      if (next === undefined) return;
      const run = runJob(next).finally(() => {
        running.delete(run);
        active.delete(next.job.id);
        startNext();
      });
      running.add(run);
    }
  };

  async function runJob(entry: Active): Promise<void> {
    const { job, stop } = entry;
    const events = join(folder(job.id), 'events.jsonl');
    let results: JobResults | undefined;
    try {
      await mendEvents(events).catch(() => {}); // a full disk costs events only
      await models.load(job.plan.model);
      results = await untilWritten(entry, () =>
        openResults(join(folder(job.id), 'results.jsonl'), job.plan.tasks.length),
      );
      take(job, results);
      Object.assign(entry, { startedAt: performance.now(), doneAtStart: results.items });
      note(job, 'running');
      const scoreItem = createItemScorer({
        config,
        models,
        plan: job.plan,
        isAllowedAddress,
        hold,
        signal: stop.signal,
        onWait: (reason) => note(job, 'waiting', reason),
      });
      await writeAll(
        entry,
        results,
        orderedMap(
          readManifest(join(folder(job.id), 'manifest.jsonl'), results.items),
          config.jobs.in_flight ?? models.loaded.get(job.plan.model)?.width() ?? UNKNOWN_WIDTH,
          scoreItem,
          stop.signal,
        ),
        events,
      );
      take(job, results); // who sees it completed sees all of it
      finish(job, 'completed');
    } catch (error) {
      if (closed)
        save(job); // goes on at the next start
      else if (job.finishedAt === undefined) {
        finish(
          job,
          'failed',
          error instanceof QalignError
            ? error.message
            : 'The job failed in a way the service did not expect; its log has more.',
        );
        log.error('a job failed', { job: job.id, reason: (error as Error).message, stack: (error as Error).stack });
      }
    } finally {
      await results?.sync().catch(() => {});
      if (results !== undefined) take(job, results);
      await results?.close().catch(() => {});
      save(job);
      if (job.finishedAt !== undefined) await writeEvent(events, job, log);
    }
  }

  async function writeAll(
    entry: Active,
    results: JobResults,
    outcomes: AsyncIterable<ScoreOutcome[]>,
    events: string,
  ): Promise<void> {
    let saved = performance.now();
    for await (const ofItem of outcomes) {
      await untilWritten(entry, () => results.append(ofItem));
      metrics.items.inc({ outcome: ofItem.some(isFailure) ? 'failed' : 'scored' });
      if (entry.job.status !== 'running') note(entry.job, 'running');
      if (performance.now() - saved < SAVE_MS) continue;
      await untilWritten(entry, () => results.sync());
      take(entry.job, results);
      save(entry.job);
      await writeEvent(events, entry.job, log);
      saved = performance.now();
    }
  }

  /** A full disk is waited out: what was scored is kept in memory and written once there is room. */
  async function untilWritten<T>({ job, stop }: Active, work: () => Promise<T>): Promise<T> {
    for (;;) {
      try {
        return await work();
      } catch (error) {
        if (!(error instanceof QalignError) || error.code !== 'OUTPUT_UNWRITABLE') throw error;
        note(job, 'waiting', error.message);
        await sleep(RETRY_MS, undefined, { signal: stop.signal });
      }
    }
  }

  const take = (job: StoredJob, results: JobResults): void =>
    void Object.assign(job, { done: results.items, failed: results.failed, resultBytes: results.bytes });
  /**
   * A job that ended keeps its end: whatever its last items still say (a cancelled one has some under way) comes too
   * late.
   */
  const note = (job: StoredJob, status: StoredJob['status'], message?: string, finishedAt?: number): void => {
    if (job.finishedAt !== undefined || (job.status === status && job.message === message)) return;
    Object.assign(job, { status, message, finishedAt });
    log.info('job', { job: job.id, status, ...(message === undefined ? {} : { reason: message }) });
    save(job);
  };
  const finish = (job: StoredJob, status: StoredJob['status'], message?: string): void => {
    note(job, status, message, Date.now() / 1000);
  };
  const save = (job: StoredJob): void => {
    try {
      store.save(job);
    } catch (error) {
      log.warn('the state of a job was not saved; its results say how far it is', {
        job: job.id,
        reason: (error as Error).message,
      });
    }
  };

  const submit = (job: StoredJob): void => {
    const entry: Active = { job, stop: new AbortController(), startedAt: undefined, doneAtStart: 0 };
    active.set(job.id, entry);
    waiting.push(entry);
    startNext();
  };

  /** First from the store: a folder that no job of the store has goes at the next start. */
  const removeOld = (): void => {
    const { keep_days: days } = config.jobs;
    if (days === null) return;
    try {
      for (const id of store.removeEnded(Date.now() / 1000 - days * 86_400))
        rmSync(folder(id), { recursive: true, force: true });
    } catch (error) {
      log.warn('old jobs were not removed', { reason: (error as Error).message });
    }
  };
  const tidying = setInterval(removeOld, TIDY_MS).unref();

  return {
    folder,
    recover() {
      removeOld();
      const unknown = (name: string): boolean => name.includes('.part-') || store.get(name) === undefined;
      for (const name of existsSync(root) ? readdirSync(root) : [])
        if (/^job_[0-9a-f]{24}/.test(name) && unknown(name)) rmSync(join(root, name), { recursive: true, force: true });
    },
    async alone(id, work) {
      const turn = (turns.get(id) ?? Promise.resolve()).then(work, work);
      turns.set(id, turn);
      try {
        return await turn;
      } finally {
        if (turns.get(id) === turn) turns.delete(id);
      }
    },
    submit,
    current: (id) => active.get(id)?.job ?? store.get(id),
    isActive: (id) => active.has(id),
    pace(id) {
      const entry = active.get(id);
      if (entry?.startedAt === undefined || entry.job.done === entry.doneAtStart) return undefined;
      return (entry.job.done - entry.doneAtStart) / ((performance.now() - entry.startedAt) / 1000);
    },
    cancel(id) {
      const entry = active.get(id);
      if (entry === undefined) return store.get(id);
      finish(entry.job, 'cancelled');
      entry.stop.abort(new QalignError('CANCELLED', 'The job was cancelled.'));
      const at = waiting.indexOf(entry);
      if (at >= 0) {
        waiting.splice(at, 1);
        active.delete(id);
        void writeEvent(join(folder(id), 'events.jsonl'), entry.job, log);
      }
      return entry.job;
    },
    resume() {
      for (const job of store.unfinished()) {
        if (existsSync(join(folder(job.id), 'manifest.jsonl'))) submit(job);
        else finish(job, 'failed', 'The list of the job is gone.');
      }
    },
    async close() {
      closed = true;
      clearInterval(tidying);
      for (const { stop } of active.values()) stop.abort(new QalignError('SHUTTING_DOWN', 'The service is ending.'));
      await Promise.allSettled(running);
    },
  };
}
