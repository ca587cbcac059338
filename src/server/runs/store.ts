import type { Db } from '../../base/files/sqlite.js';
import type { ServiceRunStatus } from '../../api/runs.js';

export type RunKind = 'run' | 'eval';

/**
 * A training or evaluation that the service was asked for. Not the run directory of src/runs, which a training makes
 * and which outlives it. The table keeps its first name, works.
 */
export interface ServiceRun {
  readonly id: string;
  readonly kind: RunKind;
  readonly owner: string;
  readonly name: string;
  status: ServiceRunStatus;
  /** The whole recipe, settled when it was accepted. */
  readonly recipe: Record<string, unknown>;
  readonly fingerprint: string;
  /** Of a training: its run directory, once there is one. */
  folder: string | undefined;
  message: string | undefined;
  readonly createdAt: number;
  finishedAt: number | undefined;
}

export interface ServiceRunStore {
  insert(run: ServiceRun): void;
  save(run: ServiceRun): void;
  get(id: string): ServiceRun | undefined;
  /** Newest first. */
  list(filter: {
    kind: RunKind;
    owner: string | undefined;
    status: ServiceRunStatus | undefined;
    limit: number;
    offset: number;
  }): ServiceRun[];
  /** What an earlier process left. */
  unfinished(): ServiceRun[];
}

interface Row {
  id: string;
  kind: RunKind;
  owner: string;
  name: string;
  status: ServiceRunStatus;
  recipe: string;
  fingerprint: string;
  folder: string | null;
  message: string | null;
  created_at: number;
  finished_at: number | null;
}

export function createServiceRunStore(database: Db): ServiceRunStore {
  const rows = (sql: string, ...values: unknown[]): ServiceRun[] =>
    (database.prepare(sql).all(...values) as Row[]).map(fromRow);
  return {
    insert(run) {
      database
        .prepare(
          'INSERT INTO works (id, kind, owner, name, status, recipe, fingerprint, folder, message, created_at, finished_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)',
        )
        .run(
          run.id,
          run.kind,
          run.owner,
          run.name,
          run.status,
          JSON.stringify(run.recipe),
          run.fingerprint,
          run.folder ?? null,
          run.message ?? null,
          run.createdAt,
          run.finishedAt ?? null,
        );
    },
    save: (run) =>
      void database
        .prepare('UPDATE works SET status = ?, folder = ?, message = ?, finished_at = ? WHERE id = ?')
        .run(run.status, run.folder ?? null, run.message ?? null, run.finishedAt ?? null, run.id),
    get: (id) => rows('SELECT * FROM works WHERE id = ?', id)[0],
    list: ({ kind, owner, status, limit, offset }) =>
      rows(
        'SELECT * FROM works WHERE kind = ?1 AND (?2 IS NULL OR owner = ?2) AND (?3 IS NULL OR status = ?3) ORDER BY created_at DESC, id LIMIT ?4 OFFSET ?5',
        kind,
        owner ?? null,
        status ?? null,
        limit,
        offset,
      ),
    unfinished: () => rows("SELECT * FROM works WHERE status IN ('queued', 'running')"),
  };
}

const fromRow = ({
  created_at: createdAt,
  finished_at: finishedAt,
  recipe,
  folder,
  message,
  ...row
}: Row): ServiceRun => ({
  ...row,
  recipe: JSON.parse(recipe) as ServiceRun['recipe'],
  folder: folder ?? undefined,
  message: message ?? undefined,
  createdAt,
  finishedAt: finishedAt ?? undefined,
});
