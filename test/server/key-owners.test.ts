import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { openDatabase } from '../../src/base/files/sqlite.js';
import { createKeyStore } from '../../src/server/http/key-store.js';
import { openServiceDatabase, serviceDatabase } from '../../src/server/service-database.js';

let folder: string;
beforeEach(async () => void (folder = await mkdtemp(join(tmpdir(), 'qalign-owners-'))));
afterEach(() => rm(folder, { recursive: true, force: true }));

/** A database of a version without ids of keys. */
const EARLIER = `
  CREATE TABLE keys (name TEXT PRIMARY KEY, hash TEXT NOT NULL, scopes TEXT NOT NULL, created_at REAL NOT NULL);
  CREATE TABLE jobs (
    id TEXT PRIMARY KEY, owner TEXT NOT NULL, status TEXT NOT NULL, settings TEXT NOT NULL, total INTEGER NOT NULL,
    done INTEGER NOT NULL, failed INTEGER NOT NULL, result_bytes INTEGER NOT NULL, message TEXT,
    created_at REAL NOT NULL, finished_at REAL);
  CREATE TABLE works (
    id TEXT PRIMARY KEY, kind TEXT NOT NULL, owner TEXT NOT NULL, name TEXT NOT NULL, status TEXT NOT NULL, recipe TEXT NOT NULL,
    fingerprint TEXT NOT NULL, folder TEXT, message TEXT, created_at REAL NOT NULL, finished_at REAL);
  CREATE TABLE answers (
    key TEXT PRIMARY KEY, fingerprint TEXT NOT NULL, status INTEGER, body TEXT, created_at REAL NOT NULL);
  INSERT INTO keys VALUES ('web', '00', 'jobs', 100), ('new', '01', 'jobs', 300);
  INSERT INTO jobs VALUES
    ('a', 'web', 'completed', '{}', 1, 1, 0, 0, NULL, 200, 201), ('b', 'new', 'completed', '{}', 1, 1, 0, 0, NULL, 200, 201),
    ('c', 'gone', 'completed', '{}', 1, 1, 0, 0, NULL, 200, 201);
  INSERT INTO works VALUES ('run', 'run', 'web', 'n', 'completed', '{}', 'f', NULL, NULL, 150, 160);
  INSERT INTO answers VALUES
    ('web' || char(10) || 'k', 'f', 200, '{}', 200), ('new' || char(10) || 'k', 'f', 200, '{}', 200),
    ('webber' || char(10) || 'k', 'f', 200, '{}', 200);
`;

it('gives keys of earlier versions an id, and assigns entries of a name only to the key that had it then', () => {
  openDatabase(serviceDatabase(folder), EARLIER).close();
  for (let time = 0; time < 2; time++) {
    const database = openServiceDatabase(folder);
    const id = Object.fromEntries(
      createKeyStore(database)
        .all()
        .map((key) => [key.name, key.id]),
    ) as { web: string };
    expect(Object.values(id)).toEqual([expect.stringMatching(/^key_/), expect.stringMatching(/^key_/)]);
    const rows = (sql: string): unknown[] =>
      database
        .prepare(sql)
        .all()
        .map((row) => Object.values(row as Record<string, unknown>));
    expect(rows('SELECT id, owner FROM jobs ORDER BY id')).toEqual([
      ['a', id.web],
      ['b', 'new'],
      ['c', 'gone'],
    ]);
    expect(rows('SELECT owner FROM works')).toEqual([[id.web]]);
    expect(rows('SELECT key FROM answers ORDER BY key').flat().sort()).toEqual(
      [`${id.web}\nk`, 'new\nk', 'webber\nk'].sort(),
    );
    database.close();
  }
});

it('gives a key that is created again under its name another id', () => {
  const database = openServiceDatabase(folder);
  const keys = createKeyStore(database);
  keys.create('web', ['jobs']);
  const [first] = keys.all();
  keys.revoke('web');
  keys.create('web', ['jobs']);
  const [second] = keys.all();
  database.close();
  expect(first?.id).toMatch(/^key_[0-9a-f]{24}$/);
  expect(second?.id).not.toBe(first?.id);
});
