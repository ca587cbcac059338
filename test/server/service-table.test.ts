import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { openDatabase, type Db } from '../../src/base/files/sqlite.js';
import { openServiceTable, type ServiceTable } from '../../src/server/service-table.js';

interface Row {
  readonly id: string;
  readonly owner: string;
  readonly status: string;
  readonly note: string | null;
  readonly created_at: number;
}
interface Thing {
  readonly id: string;
  readonly owner: string;
  status: string;
  note: string | undefined;
  readonly createdAt: number;
}

let folder: string;
let database: Db;
let table: ServiceTable<Thing, Row>;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'qalign-table-'));
  database = openDatabase(
    join(folder, 'things.db'),
    'CREATE TABLE things (id TEXT PRIMARY KEY, owner TEXT, status TEXT, note TEXT, created_at REAL)',
  );
  table = openServiceTable<Thing, Row>(database, 'things', {
    toRow: ({ createdAt, note, ...rest }) => ({ ...rest, note: note ?? null, created_at: createdAt }),
    fromRow: ({ created_at, note, ...rest }) => ({ ...rest, note: note ?? undefined, createdAt: created_at }),
  });
});
afterEach(async () => {
  database.close();
  await rm(folder, { recursive: true, force: true });
});

const thing = (id: string, createdAt: number, more: Partial<Thing> = {}): Thing => ({
  id,
  owner: 'ann',
  status: 'queued',
  note: undefined,
  createdAt,
  ...more,
});
const ids = (things: readonly Thing[]): string[] => things.map(({ id }) => id);

it('returns inserted rows, and undefined for an unknown id', () => {
  const first = thing('a', 1.5, { note: "it's" });
  table.insert(first);
  expect(table.get('a')).toEqual(first);
  expect(table.get('b')).toBeUndefined();
  expect(() => table.insert(first)).toThrow(/UNIQUE/);
});

it('updates only the named columns', () => {
  table.insert(thing('a', 1));
  table.insert(thing('b', 2));
  table.update({ ...thing('a', 1), owner: 'bob', status: 'running', note: 'now' }, ['status']);
  expect(table.get('a')).toEqual(thing('a', 1, { status: 'running' }));
  expect(table.get('b')).toEqual(thing('b', 2));
});

it('lists rows newest first, filtered and in pages', () => {
  for (const [id, at, owner] of [
    ['a', 1, 'ann'],
    ['b', 3, 'bob'],
    ['c', 3, 'ann'],
    ['d', 2, 'ann'],
  ] as const)
    table.insert(thing(id, at, { owner }));
  const page = { limit: 10, offset: 0 };
  expect(ids(table.list({ owner: undefined }, page))).toEqual(['b', 'c', 'd', 'a']);
  expect(ids(table.list({ owner: 'ann', status: 'queued' }, page))).toEqual(['c', 'd', 'a']);
  expect(ids(table.list({ owner: 'ann' }, { limit: 1, offset: 1 }))).toEqual(['d']);
  expect(ids(table.list({ owner: 'ann', status: 'ended' }, page))).toEqual([]);
});

it('finds rows in one of several states, oldest first', () => {
  table.insert(thing('new', 9));
  table.insert(thing('over', 1, { status: 'ended' }));
  table.insert(thing('old', 2, { status: 'running' }));
  expect(ids(table.inStatus('queued', 'running'))).toEqual(['old', 'new']);
});
