import type { Db } from '../../base/files/sqlite.js';
import type { Task } from '../../prompts/subject.js';
import type { Scale } from '../../scoring/levels.js';
import type { MapOptions } from '../../scoring/quality-map.js';
import type { JobStatus } from '../../api/jobs.js';
import type { ShardPlan } from './shards/list.js';
import { createKeptTime, type Clocks } from './kept-time.js';
import { openServiceTable, type Page } from '../service-table.js';

/** Settings of a job. They are fixed when the job is accepted, so that a restart changes nothing. */
export interface JobPlan {
  readonly tasks: readonly Task[];
  readonly scale: Scale;
  readonly prompt: string | undefined;
  /** Missing in plans of earlier versions. */
  readonly strict?: boolean | undefined;
  /** Missing without maps. */
  readonly map?: MapOptions | undefined;
  /** Missing in plans of earlier versions. */
  readonly per_frame?: boolean | undefined;
  /** Missing in plans of earlier versions. */
  readonly per_frame_window?: number | undefined;
  readonly model: string;
  /** Missing for jobs over items. */
  readonly shards?: ShardPlan | undefined;
  /** Missing in plans of earlier versions. */
  readonly webhook?: string | undefined;
  /** W3C trace context of the request that made the job. Missing in plans of earlier versions. */
  readonly traceparent?: string | undefined;
  /** Hash of settings and list, to refuse the same Idempotency-Key for another job. */
  readonly fingerprint: string;
}

export interface StoredJob {
  readonly id: string;
  readonly owner: string;
  status: JobStatus;
  readonly plan: JobPlan;
  readonly total: number;
  done: number;
  failed: number;
  warned: number;
  /** Items of the shards so far; 0 for jobs over items. */
  items: number;
  resultBytes: number;
  message: string | undefined;
  readonly createdAt: number;
  finishedAt: number | undefined;
}

export interface JobStore {
  insert(job: StoredJob): void;
  save(job: StoredJob): void;
  get(id: string): StoredJob | undefined;
  /** Newest first. */
  list(filter: Page & { readonly owner: string | undefined; readonly status: JobStatus | undefined }): StoredJob[];
  /** Unfinished jobs, oldest first, for a restart. */
  unfinished(): StoredJob[];
  remove(id: string): void;
  /** Deletes jobs that ended more than these seconds ago, by the clock of kept-time.ts. Returns their ids. */
  removeKept(seconds: number): string[];
}

interface Row {
  readonly id: string;
  readonly owner: string;
  readonly status: JobStatus;
  readonly settings: string;
  readonly total: number;
  readonly done: number;
  readonly failed: number;
  readonly warned: number;
  readonly items: number;
  readonly result_bytes: number;
  readonly message: string | null;
  readonly created_at: number;
  readonly finished_at: number | null;
}

export function createJobStore(database: Db, clocks?: Clocks): JobStore {
  const keptTime = createKeptTime(database, clocks);
  const table = openServiceTable(database, 'jobs', { toRow, fromRow });
  return {
    insert: (job) => table.insert(job),
    save: (job) =>
      table.update(job, ['status', 'done', 'failed', 'warned', 'items', 'result_bytes', 'message', 'finished_at']),
    get: (id) => table.get(id),
    list: ({ owner, status, ...page }) => table.list({ owner, status }, page),
    unfinished: () => table.inStatus('queued', 'running', 'waiting'),
    remove: (id) => void database.prepare('DELETE FROM jobs WHERE id = ?').run(id),
    removeKept(seconds) {
      const now = keptTime();
      database.prepare('UPDATE jobs SET kept_from = ? WHERE finished_at IS NOT NULL AND kept_from IS NULL').run(now);
      const over = database.prepare('DELETE FROM jobs WHERE kept_from <= ? RETURNING id').all(now - seconds);
      return (over as Pick<Row, 'id'>[]).map(({ id }) => id);
    },
  };
}

const toRow = (job: StoredJob): Row => ({
  id: job.id,
  owner: job.owner,
  status: job.status,
  settings: JSON.stringify(job.plan),
  total: job.total,
  done: job.done,
  failed: job.failed,
  warned: job.warned,
  items: job.items,
  result_bytes: job.resultBytes,
  message: job.message ?? null,
  created_at: job.createdAt,
  finished_at: job.finishedAt ?? null,
});

const fromRow = (row: Row): StoredJob => ({
  id: row.id,
  owner: row.owner,
  status: row.status,
  plan: JSON.parse(row.settings) as JobPlan,
  total: row.total,
  done: row.done,
  failed: row.failed,
  warned: row.warned,
  items: row.items,
  resultBytes: row.result_bytes,
  message: row.message ?? undefined,
  createdAt: row.created_at,
  finishedAt: row.finished_at ?? undefined,
});
