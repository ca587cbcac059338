import type { Db } from '../../base/files/sqlite.js';

/** The most that counts of the time between two processes: a wall clock that jumps makes nothing old at once. */
const MOST_BETWEEN_S = 86_400;

const SCHEMA = `CREATE TABLE IF NOT EXISTS kept_time (
  id INTEGER PRIMARY KEY CHECK (id = 1), seconds REAL NOT NULL, looked_at REAL NOT NULL)`;

/** Clocks in seconds: `wall` may be set by anybody, `running` only moves on. */
export interface Clocks {
  readonly wall: () => number;
  readonly running: () => number;
}

const CLOCKS: Clocks = { wall: () => Date.now() / 1000, running: () => performance.now() / 1000 };

/**
 * How long jobs of this database have been kept, in seconds, a number that only grows: by what this process sees on a
 * clock that cannot be set, and by the time since the process before it, at most a day.
 */
export function createKeptTime(database: Db, { wall, running }: Clocks = CLOCKS): () => number {
  database.exec(SCHEMA);
  const select = database.prepare('SELECT seconds, looked_at FROM kept_time WHERE id = 1');
  const write = database.prepare('INSERT OR REPLACE INTO kept_time (id, seconds, looked_at) VALUES (1, ?, ?)');
  let last: number | undefined;
  return () => {
    const row = select.get() as { seconds: number; looked_at: number } | undefined;
    const between = Math.min(MOST_BETWEEN_S, Math.max(0, wall() - (row?.looked_at ?? wall())));
    const passed = last === undefined ? between : running() - last;
    last = running();
    const seconds = (row?.seconds ?? 0) + passed;
    write.run(seconds, wall());
    return seconds;
  };
}
