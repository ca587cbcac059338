import type { Db } from '../../base/files/sqlite.js';

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS deliveries (
    id TEXT PRIMARY KEY, url TEXT NOT NULL, body TEXT NOT NULL, attempts INTEGER NOT NULL DEFAULT 0,
    next_at REAL NOT NULL, ended_at REAL);
  CREATE INDEX IF NOT EXISTS deliveries_waiting ON deliveries (next_at) WHERE ended_at IS NULL;
`;
/** A delivery that has ended is remembered so long, so that its job never makes a second one. */
const KEPT_S = 7 * 86_400;

/** A message on its way. Times in seconds since 1970. */
export interface Delivery {
  readonly id: string;
  readonly url: string;
  readonly body: string;
  readonly attempts: number;
  readonly next_at: number;
}

/** Messages that are not delivered yet, in the database of the service: a restart sends them. */
export interface DeliveryStore {
  /** A message that was tried or has ended stays as it is. */
  put(message: Pick<Delivery, 'id' | 'url' | 'body'>, at: number): void;
  waiting(): Delivery[];
  count(): number;
  retry(id: string, at: number): void;
  end(id: string, at: number): void;
  /** Runs `work` so that all that it writes is written, or nothing. */
  together(work: () => void): void;
}

export function createDeliveryStore(database: Db): DeliveryStore {
  database.exec(SCHEMA);
  return {
    put({ id, url, body }, at) {
      database
        .prepare(
          `INSERT INTO deliveries (id, url, body, next_at) VALUES (?, ?, ?, ?)
           ON CONFLICT (id) DO UPDATE SET body = excluded.body WHERE attempts = 0 AND ended_at IS NULL`,
        )
        .run(id, url, body, at);
    },
    waiting: () =>
      database
        .prepare('SELECT id, url, body, attempts, next_at FROM deliveries WHERE ended_at IS NULL ORDER BY next_at, id')
        .all() as Delivery[],
    count: () =>
      (database.prepare('SELECT count(*) AS n FROM deliveries WHERE ended_at IS NULL').get() as { n: number }).n,
    retry: (id, at) =>
      void database.prepare('UPDATE deliveries SET attempts = attempts + 1, next_at = ? WHERE id = ?').run(at, id),
    end(id, at) {
      database
        .prepare("UPDATE deliveries SET attempts = attempts + 1, body = '', ended_at = ? WHERE id = ?")
        .run(at, id);
      database.prepare('DELETE FROM deliveries WHERE ended_at < ?').run(at - KEPT_S);
    },
    together(work) {
      database.transaction(work)();
    },
  };
}
