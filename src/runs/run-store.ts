import { stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { openIndex } from './database.js';
import { listRunFolders, summarise, type RunSummary } from './run-directory.js';

/** An index of the runs below `root`, so that listing thousands is quick. Never the truth: `rebuild` makes it anew. */
export interface RunStore {
  /** What the index has, as it stands. */
  list(): RunSummary[];
  /** Reads again what changed since it was indexed (and runs that were not over), forgets what is gone. */
  refresh(): Promise<RunSummary[]>;
  /** Reads all directories again. */
  rebuild(): Promise<RunSummary[]>;
  close(): void;
}

const SCHEMA = 'CREATE TABLE IF NOT EXISTS indexed_runs (id TEXT PRIMARY KEY, stamp TEXT, name TEXT, status TEXT, started_at REAL, step INTEGER, total_steps INTEGER, loss REAL, srcc REAL, plcc REAL)';
const COLUMNS = 'id, name, status, started_at, step, total_steps, loss, srcc, plcc';

interface Row {
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

/** Opens `root/index.db`; a damaged index is thrown away, since the directories hold everything. */
export function openRunStore(root: string): RunStore {
  const database = openIndex(join(root, 'index.db'), SCHEMA);
  const insert = database.prepare(`INSERT OR REPLACE INTO indexed_runs (stamp, ${COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`);
  const put = ({ stamp, run }: { stamp: string; run: RunSummary }): void => {
    insert.run(stamp, run.id, run.name, run.status, run.startedAt ?? null, run.step, run.totalSteps ?? null, run.loss ?? null, run.srcc ?? null, run.plcc ?? null);
  };
  const list = (): RunSummary[] => (database.prepare(`SELECT ${COLUMNS} FROM indexed_runs ORDER BY started_at, id`).all() as Row[]).map(fromRow);
  const refresh = async (): Promise<RunSummary[]> => {
    const known = new Map((database.prepare("SELECT id, stamp FROM indexed_runs WHERE status IN ('completed', 'failed', 'stopped')").all() as { id: string; stamp: string }[]).map(({ id, stamp }) => [id, stamp]));
    const folders = await listRunFolders(root);
    const stamped = await Promise.all(folders.map(async (folder) => ({ folder, stamp: await stampOf(folder) })));
    const changed = stamped.filter(({ folder, stamp }) => known.get(basename(folder)) !== stamp);
    const read = await Promise.all(changed.map(async ({ folder, stamp }) => ({ stamp, run: await summarise(folder) })));
    const there = new Set(folders.map((folder) => basename(folder)));
    const gone = (database.prepare('SELECT id FROM indexed_runs').all() as { id: string }[]).filter(({ id }) => !there.has(id));
    database.transaction(() => {
      read.forEach(put);
      for (const { id } of gone) database.prepare('DELETE FROM indexed_runs WHERE id = ?').run(id);
    })();
    return list();
  };
  return {
    list,
    refresh,
    rebuild() {
      database.exec('DELETE FROM indexed_runs');
      return refresh();
    },
    close: () => database.close(),
  };
}

/** Changes whenever a run says or does something: size and date of its events, and whether somebody trains it. */
async function stampOf(folder: string): Promise<string> {
  const of = (name: string): Promise<string> => stat(join(folder, name)).then(({ size, mtimeMs }) => `${size}@${mtimeMs}`, () => '-');
  return `${await of('events.jsonl')} ${await of('pid')}`;
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
