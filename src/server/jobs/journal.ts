import type { Logger } from '../../base/logger.js';
import { JOB_ENDINGS, type JobEvent, type JobStatus } from '../../api/jobs.js';
import { appendEvent, mendEvents } from '../run-events.js';
import type { JobFolders } from './folders.js';
import type { JobStore, StoredJob } from './store.js';
import { toAnswer } from './job-answer.js';
import type { Message, Webhooks } from '../webhooks/webhooks.js';

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
    tell(job) {
      if (job.finishedAt !== undefined && job.plan.webhook !== undefined) webhooks.send();
      return appendEvent(folders.events(job.id), toEvent(job, Date.now() / 1000)).catch((error: Error) =>
        log.warn('an event of a job was not written', { job: job.id, reason: error.message }),
      );
    },
    mend: (id) => mendEvents(folders.events(id)).catch(() => {}),
  };
}

/** Of a job that has ended and has a webhook. The id is the same however often it is asked for. */
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

const toEvent = ({ finishedAt, status, total, done, failed, warned }: StoredJob, time: number): JobEvent => ({
  event: finishedAt === undefined ? 'progress' : 'end',
  time,
  status,
  total,
  done,
  failed,
  warned,
});
