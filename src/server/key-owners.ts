import type { Db } from '../base/files/sqlite.js';
import { newKeyId } from './http/client-key.js';

/** Tables whose rows belong to a key. */
const OWNED = ['jobs', 'works'] as const;

interface NamedKey {
  readonly name: string;
  readonly created_at: number;
}

/**
 * Migrates keys of earlier versions in one transaction: gives each key an id, and assigns it the rows created since the
 * key was made. Older rows belong to an earlier key of the same name; only admin sees them.
 */
export function giveKeysIds(database: Db): void {
  if (hasIds(database) && withoutId(database).length === 0) return;
  database.exec('BEGIN IMMEDIATE');
  try {
    // Another process can have migrated first.
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
  // The key of a stored answer is the owner, a line feed and the Idempotency-Key.
  const isOfName = 'substr(key, 1, length(?) + 1) = ? || char(10)';
  database
    .prepare(`UPDATE answers SET key = ? || substr(key, length(?) + 1) WHERE ${isOfName} AND created_at >= ?`)
    .run(id, name, name, name, since);
}
