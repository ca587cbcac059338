import type { Db } from '../base/files/sqlite.js';
import { newKeyId } from './http/client-key.js';

/** Tables whose rows belong to a key. */
const OWNED = ['jobs', 'works'] as const;

interface NamedKey {
  readonly name: string;
  readonly created_at: number;
}

/**
 * Gives keys of earlier versions an id, and to each what its name owned since it was made: older rows are of another
 * key that had the name, and stay with nobody but admin. All of it or nothing.
 */
export function giveKeysIds(database: Db): void {
  if (hasIds(database) && withoutId(database).length === 0) return;
  database.exec('BEGIN IMMEDIATE');
  try {
    // another process may have been quicker
    if (!hasIds(database)) database.exec("ALTER TABLE keys ADD COLUMN id TEXT NOT NULL DEFAULT ''");
    for (const key of withoutId(database)) giveId(database, key);
    database.exec('COMMIT');
  } catch (error) {
    database.exec('ROLLBACK');
    throw error;
  }
}

const hasIds = (database: Db): boolean =>
  (database.prepare('PRAGMA table_info(keys)').all() as { readonly name: string }[]).some(({ name }) => name === 'id');

const withoutId = (database: Db): NamedKey[] =>
  database.prepare("SELECT name, created_at FROM keys WHERE id = ''").all() as NamedKey[];

function giveId(database: Db, { name, created_at: since }: NamedKey): void {
  const id = newKeyId();
  database.prepare('UPDATE keys SET id = ? WHERE name = ?').run(id, name);
  for (const table of OWNED)
    database.prepare(`UPDATE ${table} SET owner = ? WHERE owner = ? AND created_at >= ?`).run(id, name, since);
  // answers are remembered by the owner, a line end and the Idempotency-Key
  const isOfName = 'substr(key, 1, length(?) + 1) = ? || char(10)';
  database
    .prepare(`UPDATE answers SET key = ? || substr(key, length(?) + 1) WHERE ${isOfName} AND created_at >= ?`)
    .run(id, name, name, name, since);
}
