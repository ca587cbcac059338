import { QalignError } from '../../base/errors.js';
import type { Logger } from '../../base/logger.js';
import type { RunJournal } from './journal.js';
import type { RunKind, ServiceRun } from './store.js';

/**
 * Performs one kind of run and resolves with its outcome. Aborting the signal stops it at a point where it can be
 * resumed.
 */
export type RunMethod = (
  run: ServiceRun,
  tools: {
    readonly folder: string;
    readonly signal: AbortSignal;
    readonly tell: (event: { readonly event: string }) => void;
    readonly began: (folder: string) => void;
  },
) => Promise<'completed' | 'stopped'>;

export interface PerformParts {
  readonly methods: Readonly<Record<RunKind, RunMethod>>;
  readonly journal: RunJournal;
  readonly redact: (message: string) => string;
  readonly log: Logger;
  /** True during shutdown: a stopped run is then interrupted and can be resumed. */
  readonly isEnding: () => boolean;
}

/** Performs one training or evaluation with its events in order. Never rejects. */
export async function performRun(run: ServiceRun, signal: AbortSignal, parts: PerformParts): Promise<void> {
  const { methods, journal, isEnding } = parts;
  let told = Promise.resolve();
  try {
    await journal.prepare(run.id);
    Object.assign(run, { status: 'running', message: undefined });
    journal.save(run);
    const how = await methods[run.kind](run, {
      folder: journal.folder(run.id),
      signal,
      tell: (event) => void (told = told.then(() => journal.tell(run.id, event))),
      began(folder) {
        run.folder = folder;
        journal.save(run);
      },
    });
    await told;
    await journal.end(run, isEnding() && how === 'stopped' ? 'interrupted' : how);
  } catch (error) {
    await told;
    if (signal.aborted) await journal.end(run, isEnding() ? 'interrupted' : 'stopped');
    else await fail(run, error as Error, parts);
  }
}

async function fail(run: ServiceRun, error: Error, { journal, redact, log }: PerformParts): Promise<void> {
  log.error('a training or evaluation failed', { work: run.id, reason: error.message, stack: error.stack });
  const message =
    error instanceof QalignError
      ? redact(error.message)
      : 'It failed with an internal error; the log of the service has details.';
  await journal.end(run, 'failed', message);
}
