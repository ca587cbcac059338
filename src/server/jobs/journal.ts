import type { Logger } from '../../base/logger.js';
import type { JobEvent, JobStatus } from '../../api/jobs.js';
import { appendEvent, mendEvents } from '../run-events.js';
import type { JobFolders } from './folders.js';
import type { JobStore, StoredJob } from './store.js';

/** Changes the state of a job and writes it down: in the store, in the log, as events. A full disk stops no job. */
export interface JobJournal {
  save(job: StoredJob): void;
  /** A new status, logged and saved. A job that has ended keeps its end. */
  note(job: StoredJob, status: JobStatus, message?: string): void;
  end(job: StoredJob, status: JobStatus, message?: string): void;
  /** Adds an event that says how far the job is; the last one says how it ended. */
  tell(job: StoredJob): Promise<void>;
  /** Makes the events ready to be added to, after a kill. */
  mend(id: string): Promise<void>;
}

export function createJobJournal({
  store,
  folders,
  log,
}: {
  readonly store: Pick<JobStore, 'save'>;
  readonly folders: Pick<JobFolders, 'events'>;
  readonly log: Logger;
}): JobJournal {
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
  // items of a cancelled job that were under way come in after its end
  const change = (job: StoredJob, status: JobStatus, message?: string, finishedAt?: number): void => {
    if (job.finishedAt !== undefined || (job.status === status && job.message === message)) return;
    Object.assign(job, { status, message, finishedAt });
    log.info('job', { job: job.id, status, ...(message === undefined ? {} : { reason: message }) });
    save(job);
  };
  return {
    save,
    note: (job, status, message) => change(job, status, message),
    end: (job, status, message) => change(job, status, message, Date.now() / 1000),
    tell: (job) =>
      appendEvent(folders.events(job.id), toEvent(job, Date.now() / 1000)).catch((error: Error) =>
        log.warn('an event of a job was not written', { job: job.id, reason: error.message }),
      ),
    mend: (id) => mendEvents(folders.events(id)).catch(() => {}),
  };
}

const toEvent = ({ finishedAt, status, total, done, failed, warned }: StoredJob, time: number): JobEvent => ({
  event: finishedAt === undefined ? 'progress' : 'end',
  time,
  status,
  total,
  done,
  failed,
  warned,
});
