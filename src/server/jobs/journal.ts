import type { Logger } from '../../base/logger.js';
import { JOB_ENDINGS, type JobEvent, type JobStatus } from '../../api/jobs.js';
import { appendEvent, mendEvents } from '../run-events.js';
import type { JobFolders } from './folders.js';
import type { JobStore, StoredJob } from './store.js';
import { itemsOf, toAnswer } from './job-answer.js';
import type { Message, Webhooks } from '../webhooks/webhooks.js';

/** Changes the state of a job and records it in the store, the log and the events. A full disk does not stop a job. */
export interface JobJournal {
  save(job: StoredJob): void;
  /** Sets, logs and stores a new status. A final status never changes. */
  note(job: StoredJob, status: JobStatus, message?: string): void;
  end(job: StoredJob, status: JobStatus, message?: string): void;
  /** Adds a progress event; the last event has the final status. */
  tell(job: StoredJob): Promise<void>;
  /** Prepares the event file for appending after a kill. */
  mend(id: string): Promise<void>;
}

export function createJobJournal({
  store,
  folders,
  webhooks,
  log,
}: {
  readonly store: Pick<JobStore, 'save'>;
  readonly folders: Pick<JobFolders, 'events'>;
  readonly webhooks: Pick<Webhooks, 'keep' | 'send'>;
  readonly log: Logger;
}): JobJournal {
  const save = (job: StoredJob): void => {
    try {
      const message = messageOf(job);
      if (message === undefined) store.save(job);
      else webhooks.keep(message, () => store.save(job));
    } catch (error) {
      log.warn('the state of a job was not saved; its results say how far it is', {
        job: job.id,
        reason: (error as Error).message,
      });
    }
  };
  // Items of a cancelled job that were in flight finish after its end.
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
    tell(job) {
      if (job.finishedAt !== undefined && job.plan.webhook !== undefined) webhooks.send();
      return appendEvent(folders.events(job.id), toEvent(job, Date.now() / 1000)).catch((error: Error) =>
        log.warn('an event of a job was not written', { job: job.id, reason: error.message }),
      );
    },
    mend: (id) => mendEvents(folders.events(id)).catch(() => {}),
  };
}

/** Sends the webhook of a job that has ended. Its id is the same for every call. */
function messageOf(job: StoredJob): Message | undefined {
  const { id, finishedAt, plan } = job;
  if (finishedAt === undefined || plan.webhook === undefined) return undefined;
  const body = {
    type: JOB_ENDINGS[job.status as keyof typeof JOB_ENDINGS],
    timestamp: new Date(finishedAt * 1000).toISOString(),
    data: toAnswer(job, undefined),
  };
  return { id: id.replace('job_', 'msg_'), url: plan.webhook, body };
}

const toEvent = (job: StoredJob, time: number): JobEvent => ({
  event: job.finishedAt === undefined ? 'progress' : 'end',
  time,
  status: job.status,
  total: job.total,
  done: job.done,
  failed: job.failed,
  warned: job.warned,
  ...itemsOf(job),
});
