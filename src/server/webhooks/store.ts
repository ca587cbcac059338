import type { Db } from '../../base/files/sqlite.js';

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS deliveries (
    id TEXT PRIMARY KEY, url TEXT NOT NULL, body TEXT NOT NULL, attempts INTEGER NOT NULL DEFAULT 0,
    next_at REAL NOT NULL, ended_at REAL);
  CREATE INDEX IF NOT EXISTS deliveries_waiting ON deliveries (next_at) WHERE ended_at IS NULL;
`;
/** Ended deliveries are kept for this time, so that a job never makes a second one. */
const KEPT_S = 7 * 86_400;

/** A message to deliver. Times in seconds since 1970. */
export interface Delivery {
  readonly id: string;
  readonly url: string;
  readonly body: string;
  readonly attempts: number;
  readonly next_at: number;
}

/** Undelivered messages in the database of the service; they survive a restart. */
export interface DeliveryStore {
  /** Adds a message. One that was tried or has ended is not changed. */
  put(message: Pick<Delivery, 'id' | 'url' | 'body'>, at: number): void;
  waiting(): Delivery[];
  count(): number;
  retry(id: string, at: number): void;
  end(id: string, at: number): void;
  /** Runs `work` in a transaction. */
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
