/** The boundary of src/server/jobs: lists scored in the background, which survive a restart; nothing of routes. */
import { existsSync } from 'node:fs';
import { QalignError } from '../../base/errors.js';
import { createJobFolders } from './folders.js';
import { createJobJournal } from './journal.js';
import { createJobQueue, paceOf } from './queue.js';
import { runJob, type RunJobParts } from './run-job.js';
import type { JobStore, StoredJob } from './store.js';
import { createTurns, type InTurn } from './turns.js';
import type { Webhooks } from '../webhooks/webhooks.js';

const CLEAN_UP_MS = 3_600_000;

export interface JobRunner {
  /** The folder of a job: its list, results and events. */
  folder(id: string): string;
  /** Removes what a killed service had not accepted yet, and what is past its days; before anything new comes. */
  recover(): void;
  /**
   * Work on a job that does not exist yet, one at a time for an id: the same Idempotency-Key may come twice at once.
   */
  readonly inTurn: InTurn;
  /** Takes up a job that lies in the store. */
  submit(job: StoredJob): void;
  /** The job as it is now; of a running one the latest numbers. */
  current(id: string): StoredJob | undefined;
  /** True until its last event is written. */
  isActive(id: string): boolean;
  /** Items per second of a running job. */
  pace(id: string): number | undefined;
  cancel(id: string): StoredJob | undefined;
  /** Forgets a job that has ended, with its list, results and events. */
  remove(id: string): Promise<void>;
  /** Continues what an earlier process left. */
  resume(): void;
  /** Starts nothing more, and saves where every job is. */
  close(): Promise<void>;
}

export interface JobRunnerParts extends Omit<RunJobParts, 'folders' | 'journal' | 'isEnding'> {
  readonly webhooks: Pick<Webhooks, 'keep' | 'send'>;
  readonly root: string;
  readonly store: JobStore;
}

/** Everything about jobs that outlives a request: which wait, which run, and what becomes of them after a restart. */
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
        // from the store first: a folder that is left over is unknown at the next start, and removed then
        store.remove(id);
        await folders.remove(id);
      }),
    resume() {
      for (const job of store.unfinished()) {
        if (existsSync(folders.manifest(job.id))) queue.add(job);
        else {
          journal.end(job, 'failed', 'The list of the job is gone.');
          void journal.tell(job);
        }
      }
    },
    async close() {
      clearInterval(cleaning);
      await queue.close(new QalignError('SHUTTING_DOWN', 'The service is ending.'));
    },
  };
}
