import type { Db } from '../../base/files/sqlite.js';
import { QalignError } from '../../base/errors.js';
import { hashKey, newKey, newKeyId, SCOPES, type Client, type Scope } from './client-key.js';

export interface StoredKey extends Client {
  readonly hash: Buffer;
  readonly createdAt: number;
}

/**
 * API keys by name. Only hashes are stored. A key that another process creates or revokes takes effect within two
 * seconds.
 */
export interface KeyStore {
  all(): readonly StoredKey[];
  /** Returns the key, which cannot be shown again. */
  create(name: string, scopes: readonly string[]): string;
  revoke(name: string): boolean;
}

const FRESH_MS = 2_000;

export function createKeyStore(database: Db): KeyStore {
  let cached: readonly StoredKey[] = [];
  let readAt = -Infinity;
  const select = database.prepare('SELECT id, name, hash, scopes, created_at FROM keys ORDER BY name');
  const read = (): readonly StoredKey[] =>
    (select.all() as { id: string; name: string; hash: string; scopes: string; created_at: number }[]).map((row) => ({
      id: row.id,
      name: row.name,
      hash: Buffer.from(row.hash, 'hex'),
      scopes: row.scopes.split(',') as Scope[],
      createdAt: row.created_at,
    }));
  return {
    all() {
      if (performance.now() - readAt > FRESH_MS) [cached, readAt] = [read(), performance.now()];
      return cached;
    },
    create(name, scopes) {
      if (!/^[\w.-]{1,64}$/.test(name))
        throw new QalignError('USAGE', `"${name}" is not a valid key name; use letters, digits, ".", "_" and "-".`);
      const wrong = scopes.find((scope) => !SCOPES.includes(scope as Scope));
      if (wrong !== undefined || scopes.length === 0)
        throw new QalignError(
          'USAGE',
          `The scopes of a key must be from ${SCOPES.join(', ')}${wrong === undefined ? '' : `, not "${wrong}"`}.`,
        );
      if (read().some((row) => row.name === name))
        throw new QalignError('USAGE', `The key "${name}" exists already; revoke it first or choose another name.`);
      const key = newKey();
      database
        .prepare('INSERT INTO keys (id, name, hash, scopes, created_at) VALUES (?, ?, ?, ?, ?)')
        .run(newKeyId(), name, hashKey(key).toString('hex'), scopes.join(','), Date.now() / 1000);
      readAt = -Infinity;
      return key;
    },
    revoke(name) {
      readAt = -Infinity;
      return database.prepare('DELETE FROM keys WHERE name = ?').run(name).changes > 0;
    },
  };
}

/** A name that `create` does not accept. */
const GIVEN_NAME = '$QALIGN_API_KEY';

/** Returns `keys` with an additional, unstored key that has the scopes score and jobs. */
export function withGivenKey(keys: KeyStore, key: string | undefined): KeyStore {
  if (key === undefined) return keys;
  const hash = hashKey(key);
  // A different key is a different owner, so its hash is in the id.
  const id = `given_${hash.toString('hex').slice(0, 24)}`;
  const given: StoredKey = { id, name: GIVEN_NAME, scopes: ['score', 'jobs'], hash, createdAt: 0 };
  return { ...keys, all: () => [given, ...keys.all()] };
}
