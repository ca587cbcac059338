import type { Db } from '../../base/files/sqlite.js';
import type { Task } from '../../prompts/conversation.js';
import type { Scale } from '../../scoring/levels.js';
import type { JobStatus } from '../../api/jobs.js';

/** What a job was asked to do; settled when it is accepted, so that a restart changes nothing. */
export interface JobPlan {
  readonly tasks: readonly Task[];
  readonly scale: Scale;
  readonly prompt: string | undefined;
  readonly model: string;
  /** Hash of settings and list: the same Idempotency-Key for another job is refused. */
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
  list(filter: {
    owner: string | undefined;
    status: JobStatus | undefined;
    limit: number;
    offset: number;
  }): StoredJob[];
  /** What a restart goes on with, oldest first. */
  unfinished(): StoredJob[];
  /** Forgets jobs that ended before this time, in seconds; their ids. */
  removeEnded(before: number): string[];
}

interface Row {
  id: string;
  owner: string;
  status: JobStatus;
  settings: string;
  total: number;
  done: number;
  failed: number;
  result_bytes: number;
  message: string | null;
  created_at: number;
  finished_at: number | null;
}

export function createJobStore(database: Db): JobStore {
  const rows = (sql: string, ...values: unknown[]): StoredJob[] =>
    (database.prepare(sql).all(...values) as Row[]).map(fromRow);
  return {
    insert(job) {
      database
        .prepare(
          'INSERT INTO jobs (id, owner, status, settings, total, done, failed, result_bytes, message, created_at, finished_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)',
        )
        .run(
          job.id,
          job.owner,
          job.status,
          JSON.stringify(job.plan),
          job.total,
          job.done,
          job.failed,
          job.resultBytes,
          job.message ?? null,
          job.createdAt,
          job.finishedAt ?? null,
        );
    },
    save(job) {
      database
        .prepare(
          'UPDATE jobs SET status = ?, done = ?, failed = ?, result_bytes = ?, message = ?, finished_at = ? WHERE id = ?',
        )
        .run(job.status, job.done, job.failed, job.resultBytes, job.message ?? null, job.finishedAt ?? null, job.id);
    },
    get: (id) => rows('SELECT * FROM jobs WHERE id = ?', id)[0],
    list: ({ owner, status, limit, offset }) =>
      rows(
        'SELECT * FROM jobs WHERE (?1 IS NULL OR owner = ?1) AND (?2 IS NULL OR status = ?2) ORDER BY created_at DESC, id LIMIT ?3 OFFSET ?4',
        owner ?? null,
        status ?? null,
        limit,
        offset,
      ),
    unfinished: () =>
      rows("SELECT * FROM jobs WHERE status IN ('queued', 'running', 'waiting') ORDER BY created_at, id"),
    removeEnded: (before) =>
      (database.prepare('DELETE FROM jobs WHERE finished_at < ? RETURNING id').all(before) as Pick<Row, 'id'>[]).map(
        ({ id }) => id,
      ),
  };
}

const fromRow = (row: Row): StoredJob => ({
  id: row.id,
  owner: row.owner,
  status: row.status,
  plan: JSON.parse(row.settings) as JobPlan,
  total: row.total,
  done: row.done,
  failed: row.failed,
  resultBytes: row.result_bytes,
  message: row.message ?? undefined,
  createdAt: row.created_at,
  finishedAt: row.finished_at ?? undefined,
});
