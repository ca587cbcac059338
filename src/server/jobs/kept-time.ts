import type { Db } from '../../base/files/sqlite.js';

/** Maximum time that is counted between two processes, so that a wall clock that jumps forward does not expire jobs. */
const MOST_BETWEEN_S = 86_400;

const SCHEMA = `CREATE TABLE IF NOT EXISTS kept_time (
  id INTEGER PRIMARY KEY CHECK (id = 1), seconds REAL NOT NULL, looked_at REAL NOT NULL)`;

/** Clocks in seconds: `wall` can be set by anyone, `running` is monotonic. */
export interface Clocks {
  readonly wall: () => number;
  readonly running: () => number;
}

const CLOCKS: Clocks = { wall: () => Date.now() / 1000, running: () => performance.now() / 1000 };

/**
 * Total time in seconds for which this database has existed; it only grows. It adds the monotonic time of this process
 * and the time since the previous process, at most a day.
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
