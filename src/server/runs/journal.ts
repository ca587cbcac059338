import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Logger } from '../../base/logger.js';
import { appendEvent, mendEvents } from '../run-events.js';
import type { ServiceRun, ServiceRunStore } from './store.js';

/** Changes the state of a run and records it in the store, the log and the events. A full disk does not stop a run. */
export interface RunJournal {
  /** Directory of the events and, for an evaluation, its predictions and reports. */
  folder(id: string): string;
  save(run: ServiceRun): void;
  tell(id: string, event: { readonly event: string }): Promise<void>;
  /** The status is final when the call returns; the promise resolves after the event. */
  end(run: ServiceRun, status: ServiceRun['status'], message?: string): Promise<void>;
  /** Creates the directory and prepares the event file for appending after a kill. */
  prepare(id: string): Promise<void>;
}

export interface RunJournalParts {
  readonly root: string;
  readonly store: Pick<ServiceRunStore, 'save'>;
  /** Removes the directories of this machine from texts. */
  readonly redact: (message: string) => string;
  readonly log: Logger;
}

export function createRunJournal({ root, store, redact, log }: RunJournalParts): RunJournal {
  const folder = (id: string): string => join(root, id);
  const events = (id: string): string => join(folder(id), 'events.jsonl');
  const save = (run: ServiceRun): void => {
    try {
      store.save(run);
    } catch (error) {
      log.warn('the state of a training or evaluation was not saved', {
        work: run.id,
        reason: (error as Error).message,
      });
    }
  };
  const tell = (id: string, event: { readonly event: string }): Promise<void> =>
    mkdir(folder(id), { recursive: true, mode: 0o700 })
      .then(() => appendEvent(events(id), { time: Date.now() / 1000, ...event }, redact))
      .catch((error: Error) => log.warn('an event was not written', { work: id, reason: error.message }));
  return {
    folder,
    save,
    tell,
    async end(run, status, message) {
      Object.assign(run, { status, message, finishedAt: Date.now() / 1000 });
      save(run);
      log.info('work', { work: run.id, status, ...(message === undefined ? {} : { reason: message }) });
      await tell(run.id, Object.assign({ event: 'end', status }, message === undefined ? {} : { message }));
    },
    async prepare(id) {
      await mkdir(folder(id), { recursive: true, mode: 0o700 });
      await mendEvents(events(id)).catch(() => {});
    },
  };
}
