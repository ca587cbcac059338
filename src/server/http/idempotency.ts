import type { Db } from '../../base/files/sqlite.js';
import { QalignError } from '../../base/errors.js';
import type { Logger } from '../../base/logger.js';
import type { Caller } from './caller.js';

export interface Remembered {
  readonly status: number;
  readonly body: unknown;
}

/**
 * Stores answers by Idempotency-Key. For a day, also across restarts, the same request of the same client with the same
 * key gets the first answer.
 */
export interface Idempotency {
  /** @throws QalignError IDEMPOTENCY_CONFLICT where the key has another fingerprint or its request still runs */
  answer(
    key: string,
    fingerprint: string,
    work: () => Promise<Remembered>,
  ): Promise<Remembered & { readonly replayed: boolean }>;
}

const KEPT_S = 24 * 3600;
const PRUNE_EVERY = 500;

export function createIdempotency(database: Db, log: Logger): Idempotency {
  database.exec('DELETE FROM answers WHERE status IS NULL');
  const select = database.prepare('SELECT fingerprint, status, body FROM answers WHERE key = ?');
  const insert = database.prepare(
    'INSERT OR REPLACE INTO answers (key, fingerprint, status, body, created_at) VALUES (?, ?, ?, ?, ?)',
  );
  const running = new Map<string, { fingerprint: string; answer: Promise<Remembered> }>();
  let writes = 0;

  const remember = (key: string, fingerprint: string, { status, body }: Remembered): void => {
    // Answers that a retry can improve are not stored.
    if (status >= 500 || status === 429) return;
    insert.run(key, fingerprint, status, JSON.stringify(body), Date.now() / 1000);
    if (++writes % PRUNE_EVERY === 0)
      database.prepare('DELETE FROM answers WHERE created_at < ?').run(Date.now() / 1000 - KEPT_S);
  };

  return {
    async answer(key, fingerprint, work) {
      const kept = select.get(key) as { fingerprint: string; status: number; body: string } | undefined;
      const open = running.get(key);
      if ((kept ?? open)?.fingerprint !== undefined && (kept ?? open)?.fingerprint !== fingerprint) {
        throw new QalignError(
          'IDEMPOTENCY_CONFLICT',
          'This Idempotency-Key was used for another request; use a new key for each request.',
        );
      }
      if (kept !== undefined) return { status: kept.status, body: JSON.parse(kept.body) as unknown, replayed: true };
      if (open !== undefined)
        throw new QalignError(
          'IDEMPOTENCY_CONFLICT',
          'The request with this Idempotency-Key is still running; try again in a second.',
          { details: { retry_after_s: 1 } },
        );
      const answer = work();
      running.set(key, { fingerprint, answer });
      try {
        const done = await answer;
        try {
          remember(key, fingerprint, done);
        } catch (error) {
          // Scoring again gives the same numbers, so a full disk does not delay the answer.
          log.warn('an answer could not be stored for its Idempotency-Key', {
            reason: (error as Error).message,
          });
        }
        return { ...done, replayed: false };
      } finally {
        running.delete(key);
      }
    },
  };
}

/** Separates the keys of different clients. @throws QalignError MALFORMED */
export function keyOf({ req, client }: Pick<Caller, 'req' | 'client'>): string | undefined {
  const given = req.get('idempotency-key');
  if (given === undefined) return undefined;
  if (!/^[\x21-\x7e]{1,255}$/.test(given))
    throw new QalignError('MALFORMED', 'The Idempotency-Key must be 1 to 255 visible ASCII characters.');
  return `${client.id}\n${given}`;
}
