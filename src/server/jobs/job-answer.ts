import type { Job } from '../../api/jobs.js';
import type { StoredJob } from './store.js';

/** A job as the API returns it; `pace` in items per second. */
export function toAnswer(job: StoredJob, pace: number | undefined): Job {
  return {
    id: job.id,
    status: job.status,
    total: job.total,
    done: job.done,
    failed: job.failed,
    warned: job.warned,
    ...itemsOf(job),
    result_bytes: job.resultBytes,
    eta_s: job.finishedAt !== undefined ? 0 : pace === undefined ? null : (job.total - job.done) / pace,
    tasks: [...job.plan.tasks],
    scale: job.plan.scale,
    model: job.plan.model,
    message: job.message ?? null,
    created_at: job.createdAt,
    finished_at: job.finishedAt ?? null,
  };
}

/** Number of items of a job over shards. */
export const itemsOf = ({ plan, items }: StoredJob): { items?: number } => (plan.shards === undefined ? {} : { items });
