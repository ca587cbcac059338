/**
 * The boundary of src/server/runs: trainings and evaluations requested over HTTP, one of each at a time. They are
 * ServiceRuns in a RunQueue. RunStore of src/runs is the index of the run directories that trainings make.
 */
import { QalignError } from '../../base/errors.js';
import { createRunJournal, type RunJournalParts } from './journal.js';
import { performRun, type PerformParts } from './perform.js';
import type { RunKind, ServiceRun, ServiceRunStore } from './store.js';
import { trainingsOf } from './trained.js';

export interface RunQueue {
  /** Directory of the events and, for an evaluation, its predictions and reports. */
  folder(id: string): string;
  /** Queues a run that is in the store, also to resume it. */
  submit(run: ServiceRun): void;
  current(id: string): ServiceRun | undefined;
  isActive(id: string): boolean;
  /** Requests a stop; a waiting run is stopped at once. */
  stop(id: string): void;
  /** Marks unfinished runs of an earlier process as interrupted. */
  recover(): void;
  close(): Promise<void>;
}

export interface RunQueueParts extends RunJournalParts {
  readonly store: ServiceRunStore;
  readonly methods: PerformParts['methods'];
}

interface ActiveRun {
  readonly run: ServiceRun;
  readonly stop: AbortController;
}

/**
 * Runs one training and one evaluation at a time; others wait in order. A run that uses the model of a training also
 * waits for that training.
 */
export function createRunQueue({ methods, ...parts }: RunQueueParts): RunQueue {
  const { store, redact, log } = parts;
  const active = new Map<string, ActiveRun>();
  const running = new Map<RunKind, Promise<void>>();
  const waiting: ActiveRun[] = [];
  const journal = createRunJournal(parts);
  let closed = false;

  /** The model is being trained, or will be. */
  const waitsForTraining = ({ recipe }: ServiceRun): boolean => trainingsOf(recipe).some((id) => active.has(id));

  const startNext = (): void => {
    const at = closed ? -1 : waiting.findIndex(({ run }) => !running.has(run.kind) && !waitsForTraining(run));
    const [next] = at < 0 ? [] : waiting.splice(at, 1);
    if (next === undefined) return;
    const { kind, id } = next.run;
    const performed = performRun(next.run, next.stop.signal, { methods, journal, redact, log, isEnding: () => closed });
    running.set(
      kind,
      performed.finally(() => {
        running.delete(kind);
        active.delete(id);
        startNext();
      }),
    );
    startNext();
  };

  return {
    folder: (id) => journal.folder(id),
    submit(run) {
      const entry: ActiveRun = { run, stop: new AbortController() };
      active.set(run.id, entry);
      waiting.push(entry);
      startNext();
    },
    current: (id) => active.get(id)?.run ?? store.get(id),
    isActive: (id) => active.has(id),
    stop(id) {
      const entry = active.get(id);
      if (entry === undefined) return;
      entry.stop.abort(new QalignError('CANCELLED', 'It was stopped.'));
      const at = waiting.indexOf(entry);
      if (at < 0) return;
      waiting.splice(at, 1);
      active.delete(id);
      void journal.end(entry.run, 'stopped');
      startNext(); // Runs that wait for this model fail now, because it will not exist.
    },
    recover() {
      for (const run of store.unfinished())
        void journal.end(run, 'interrupted', 'The service ended before it was complete; resume continues it.');
    },
    async close() {
      closed = true;
      for (const { stop } of active.values())
        stop.abort(new QalignError('SHUTTING_DOWN', 'The service is shutting down.'));
      for (const { run } of waiting.splice(0)) {
        active.delete(run.id);
        await journal.end(run, 'interrupted', 'The service ended before it started; resume starts it.').catch(() => {});
      }
      await Promise.allSettled(running.values());
    },
  };
}
