import type { Db } from '../../base/files/sqlite.js';
import type { WorkStatus } from '../../api/runs.js';

export type WorkKind = 'run' | 'eval';

export interface Work {
  readonly id: string;
  readonly kind: WorkKind;
  readonly owner: string;
  readonly name: string;
  status: WorkStatus;
  /** The whole recipe, settled when it was accepted. */
  readonly recipe: Record<string, unknown>;
  readonly fingerprint: string;
  /** Of a training: its run directory, once there is one. */
  folder: string | undefined;
  message: string | undefined;
  readonly createdAt: number;
  finishedAt: number | undefined;
}

export interface WorkStore {
  insert(work: Work): void;
  save(work: Work): void;
  get(id: string): Work | undefined;
  /** Newest first. */
  list(filter: {
    kind: WorkKind;
    owner: string | undefined;
    status: WorkStatus | undefined;
    limit: number;
    offset: number;
  }): Work[];
  /** What an earlier process left. */
  unfinished(): Work[];
}

interface Row {
  id: string;
  kind: WorkKind;
  owner: string;
  name: string;
  status: WorkStatus;
  recipe: string;
  fingerprint: string;
  folder: string | null;
  message: string | null;
  created_at: number;
  finished_at: number | null;
}

export function createWorkStore(database: Db): WorkStore {
  const rows = (sql: string, ...values: unknown[]): Work[] =>
    (database.prepare(sql).all(...values) as Row[]).map(fromRow);
  return {
    insert(work) {
      database
        .prepare(
          'INSERT INTO works (id, kind, owner, name, status, recipe, fingerprint, folder, message, created_at, finished_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)',
        )
        .run(
          work.id,
          work.kind,
          work.owner,
          work.name,
          work.status,
          JSON.stringify(work.recipe),
          work.fingerprint,
          work.folder ?? null,
          work.message ?? null,
          work.createdAt,
          work.finishedAt ?? null,
        );
    },
    save: (work) =>
      void database
        .prepare('UPDATE works SET status = ?, folder = ?, message = ?, finished_at = ? WHERE id = ?')
        .run(work.status, work.folder ?? null, work.message ?? null, work.finishedAt ?? null, work.id),
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

const fromRow = ({ created_at: createdAt, finished_at: finishedAt, recipe, folder, message, ...row }: Row): Work => ({
  ...row,
  recipe: JSON.parse(recipe) as Work['recipe'],
  folder: folder ?? undefined,
  message: message ?? undefined,
  createdAt,
  finishedAt: finishedAt ?? undefined,
});
