import type { StoredJob } from './store.js';

/** A waiting or running job. It stays in the queue until it ends. */
export interface ActiveJob {
  readonly job: StoredJob;
  readonly stop: AbortController;
  /** Start time in ms of `performance.now()`; undefined until items are scored. */
  startedAt: number | undefined;
  doneAtStart: number;
}

/** Runs jobs in order, `concurrent` of them at a time. */
export interface JobQueue {
  add(job: StoredJob): void;
  find(id: string): ActiveJob | undefined;
  /** Removes a job that has not started. Returns false if it runs or is unknown. */
  withdraw(entry: ActiveJob): boolean;
  /** Resolves when the job no longer runs. */
  settled(id: string): Promise<void>;
  /** True once `close` was called. */
  readonly closed: boolean;
  /** Starts no further job, aborts running jobs and waits for them. */
  close(reason: Error): Promise<void>;
}

/** `run` never rejects: it stores how its job ended. */
export function createJobQueue(concurrent: number, run: (entry: ActiveJob) => Promise<void>): JobQueue {
  const active = new Map<string, ActiveJob>();
  const waiting: ActiveJob[] = [];
  const running = new Map<string, Promise<void>>();
  let closed = false;

  const startNext = (): void => {
    while (!closed && running.size < concurrent) {
      const next = waiting.shift();
      if (next === undefined) return;
      const end = run(next).finally(() => {
        running.delete(next.job.id);
        active.delete(next.job.id);
        startNext();
      });
      running.set(next.job.id, end);
    }
  };

  return {
    add(job) {
      const entry: ActiveJob = { job, stop: new AbortController(), startedAt: undefined, doneAtStart: 0 };
      active.set(job.id, entry);
      waiting.push(entry);
      startNext();
    },
    find: (id) => active.get(id),
    withdraw(entry) {
      const at = waiting.indexOf(entry);
      if (at < 0) return false;
      waiting.splice(at, 1);
      return active.delete(entry.job.id);
    },
    settled: async (id) => running.get(id),
    get closed() {
      return closed;
    },
    async close(reason) {
      closed = true;
      for (const { stop } of active.values()) stop.abort(reason);
      await Promise.allSettled(running.values());
    },
  };
}

/** Items per second since this process started the job; undefined until an item is scored. */
export function paceOf(entry: ActiveJob, now = performance.now()): number | undefined {
  if (entry.startedAt === undefined || entry.job.done === entry.doneAtStart) return undefined;
  return (entry.job.done - entry.doneAtStart) / ((now - entry.startedAt) / 1000);
}
