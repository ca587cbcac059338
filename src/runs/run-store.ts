import { existsSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { onIndex, type Db } from '../base/files/sqlite.js';
import { listRunFolders, summarise, type RunSummary } from './run-directory.js';

/**
 * The runs below `root`, with an index in `root/index.db` so that listing thousands of runs is fast. The run
 * directories are the source of truth.
 */
export interface RunStore {
  /**
   * Updates the index: reads runs that changed or had not ended, and removes deleted runs. Returns the oldest first.
   */
  refresh(): Promise<RunSummary[]>;
  /** Reads all directories again. */
  rebuild(): Promise<RunSummary[]>;
}

const SCHEMA =
  'CREATE TABLE IF NOT EXISTS indexed_runs (id TEXT PRIMARY KEY, stamp TEXT, name TEXT, status TEXT, started_at REAL, step INTEGER, total_steps INTEGER, loss REAL, srcc REAL, plcc REAL)';
const COLUMNS = 'stamp, id, name, status, started_at, step, total_steps, loss, srcc, plcc';
const OVER: readonly RunSummary['status'][] = ['completed', 'failed', 'stopped'];

interface Indexed {
  readonly stamp: string;
  readonly run: RunSummary;
}

export function openRunStore(root: string): RunStore {
  const index = <T>(work: (database: Db) => T): T | undefined =>
    existsSync(root) ? onIndex(join(root, 'index.db'), SCHEMA, work) : undefined;
  const update = async (known: ReadonlyMap<string, Indexed>): Promise<RunSummary[]> => {
    const folders = await listRunFolders(root);
    const current = await Promise.all(
      folders.map(async (folder): Promise<Indexed> => {
        const [stamp, held] = [await stampOf(folder), known.get(basename(folder))];
        return held?.stamp === stamp && OVER.includes(held.run.status) ? held : { stamp, run: await summarise(folder) };
      }),
    );
    const ids = new Set(current.map(({ run }) => run.id));
    index((database) =>
      write(
        database,
        current.filter((entry) => known.get(entry.run.id) !== entry),
        [...known.keys()].filter((id) => !ids.has(id)),
      ),
    );
    return current
      .map(({ run }) => run)
      .sort((a, b) => (a.startedAt ?? 0) - (b.startedAt ?? 0) || (a.id < b.id ? -1 : 1));
  };
  return {
    refresh: () => update(index(read) ?? new Map()),
    rebuild() {
      index((database) => database.exec('DELETE FROM indexed_runs'));
      return update(new Map());
    },
  };
}

function read(database: Db): Map<string, Indexed> {
  const rows = database.prepare(`SELECT ${COLUMNS} FROM indexed_runs`).all() as Row[];
  return new Map(rows.map((row) => [row.id, { stamp: row.stamp, run: fromRow(row) }]));
}

function write(database: Db, changed: readonly Indexed[], gone: readonly string[]): void {
  const insert = database.prepare(
    `INSERT OR REPLACE INTO indexed_runs (${COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  );
  const forget = database.prepare('DELETE FROM indexed_runs WHERE id = ?');
  database.transaction(() => {
    for (const { stamp, run } of changed)
      insert.run(
        stamp,
        run.id,
        run.name,
        run.status,
        run.startedAt ?? null,
        run.step,
        run.totalSteps ?? null,
        run.loss ?? null,
        run.srcc ?? null,
        run.plcc ?? null,
      );
    for (const id of gone) forget.run(id);
  })();
}

/** A value that changes with the run: size and modification time of its events and of its `pid` file. */
async function stampOf(folder: string): Promise<string> {
  const of = (name: string): Promise<string> =>
    stat(join(folder, name)).then(
      ({ size, mtimeMs }) => `${size}@${mtimeMs}`,
      () => '-',
    );
  return `${await of('events.jsonl')} ${await of('pid')}`;
}

interface Row {
  stamp: string;
  id: string;
  name: string;
  status: RunSummary['status'];
  started_at: number | null;
  step: number;
  total_steps: number | null;
  loss: number | null;
  srcc: number | null;
  plcc: number | null;
}

function fromRow(row: Row): RunSummary {
  return {
    id: row.id,
    name: row.name,
    status: row.status,
    startedAt: row.started_at ?? undefined,
    step: row.step,
    totalSteps: row.total_steps ?? undefined,
    loss: row.loss ?? undefined,
    srcc: row.srcc ?? undefined,
    plcc: row.plcc ?? undefined,
  };
}
