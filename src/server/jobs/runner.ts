/** The boundary of src/server/jobs: lists scored in the background, also after a restart; independent of routes. */
import { existsSync } from 'node:fs';
import { QalignError } from '../../base/errors.js';
import { createJobFolders } from './folders.js';
import { createJobJournal } from './journal.js';
import { createJobQueue, paceOf } from './queue.js';
import { runJob } from './run-job.js';
import type { RunJobParts } from './run-parts.js';
import type { JobStore, StoredJob } from './store.js';
import { createTurns, type InTurn } from './turns.js';
import type { Webhooks } from '../webhooks/webhooks.js';

const CLEAN_UP_MS = 3_600_000;

export interface JobRunner {
  /** Directory of a job: its list, results and events. */
  folder(id: string): string;
  /** Before the first request: removes unaccepted jobs of a killed service and expired jobs. */
  recover(): void;
  /** Work on a job that does not exist yet, serialised by id: two requests can have the same Idempotency-Key. */
  readonly inTurn: InTurn;
  /** Starts a job that is in the store. */
  submit(job: StoredJob): void;
  /** The current state of a job, with live counts if it runs. */
  current(id: string): StoredJob | undefined;
  /** True until its last event is written. */
  isActive(id: string): boolean;
  /** Resolves when nothing more is written to the results of an ended job. */
  written(id: string): Promise<void>;
  /** Items per second of a running job. */
  pace(id: string): number | undefined;
  cancel(id: string): StoredJob | undefined;
  /** Deletes an ended job with its list, results and events. */
  remove(id: string): Promise<void>;
  /** Continues unfinished jobs of an earlier process. */
  resume(): void;
  /** Starts no further job and stores the state of each. */
  close(): Promise<void>;
}

export interface JobRunnerParts extends Omit<RunJobParts, 'folders' | 'journal' | 'isEnding'> {
  readonly webhooks: Pick<Webhooks, 'keep' | 'send'>;
  readonly root: string;
  readonly store: JobStore;
}

/** Manages jobs beyond a single request: waiting, running, and continued after a restart. */
export function createJobRunner({ root, store, webhooks, ...parts }: JobRunnerParts): JobRunner {
  const { config, log } = parts;
  const folders = createJobFolders({ root, store, keepDays: config.jobs.keep_days, log });
  const journal = createJobJournal({ store, folders, webhooks, log });
  const queue = createJobQueue(config.jobs.concurrent, (entry) =>
    runJob(entry, { ...parts, folders, journal, isEnding: () => queue.closed }),
  );
  const inTurn = createTurns();
  const cleaning = setInterval(() => folders.removeOld(), CLEAN_UP_MS).unref();
  return {
    folder: (id) => folders.of(id),
    recover() {
      folders.removeOld();
      folders.removeUnknown();
    },
    inTurn,
    submit: (job) => queue.add(job),
    current: (id) => queue.find(id)?.job ?? store.get(id),
    isActive: (id) => queue.find(id) !== undefined,
    written: async (id) => (queue.find(id)?.startedAt === undefined ? undefined : queue.settled(id)),
    pace(id) {
      const entry = queue.find(id);
      return entry === undefined ? undefined : paceOf(entry);
    },
    cancel(id) {
      const entry = queue.find(id);
      if (entry === undefined) return store.get(id);
      journal.end(entry.job, 'cancelled');
      entry.stop.abort(new QalignError('CANCELLED', 'The job was cancelled.'));
      if (queue.withdraw(entry)) void journal.tell(entry.job);
      return entry.job;
    },
    remove: (id) =>
      inTurn(id, async () => {
        await queue.settled(id); // its last event is written by now
        // the row is removed first: the next start removes a directory without a row
        store.remove(id);
        await folders.remove(id);
      }),
    resume() {
      for (const job of store.unfinished()) {
        if (existsSync(folders.manifest(job.id))) queue.add(job);
        else {
          journal.end(job, 'failed', 'The list of the job is missing.');
          void journal.tell(job);
        }
      }
    },
    async close() {
      clearInterval(cleaning);
      await queue.close(new QalignError('SHUTTING_DOWN', 'The service is shutting down.'));
    },
  };
}
