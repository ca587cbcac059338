import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Db } from '../../../src/base/files/sqlite.js';
import { createLogger } from '../../../src/base/logger.js';
import type { Caller } from '../../../src/server/http/caller.js';
import { createIdempotency, keyOf, type Remembered } from '../../../src/server/http/idempotency.js';
import { openServiceDatabase } from '../../../src/server/service-database.js';

let folder: string;
let database: Db;
let logged: { message: string; reason: unknown }[];
const log = createLogger((_level, message, fields) => void logged.push({ message, reason: fields?.['reason'] }));
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'qalign-idempotency-'));
  database = openServiceDatabase(folder);
});
afterAll(async () => {
  database.close();
  await rm(folder, { recursive: true, force: true });
});
beforeEach(() => {
  logged = [];
  database.exec('DELETE FROM answers');
});

/** Work that counts its calls. */
function counted(status = 200): { work: () => Promise<Remembered>; done: () => number } {
  let done = 0;
  return { work: async () => ({ status, body: { number: ++done } }), done: () => done };
}

describe('the same key and request', () => {
  it('returns the first response, also after a restart', async () => {
    const { work, done } = counted();
    const first = await createIdempotency(database, log).answer('key', 'f', work);
    const again = await createIdempotency(database, log).answer('key', 'f', work);
    expect(first).toEqual({ status: 200, body: { number: 1 }, replayed: false });
    expect(again).toEqual({ ...first, replayed: true });
    expect([done(), logged]).toEqual([1, []]);
  });

  it.each([429, 500, 503])('runs again if the first response had status %i', async (status) => {
    const idempotency = createIdempotency(database, log);
    const { work, done } = counted(status);
    for (let i = 0; i < 2; i++) expect((await idempotency.answer('key', 'f', work)).replayed).toBe(false);
    expect(done()).toBe(2);
  });

  it('is refused while the first request runs, and runs again after a failure', async () => {
    const idempotency = createIdempotency(database, log);
    let fail!: (error: Error) => void;
    const first = idempotency.answer('key', 'f', () => new Promise((_, reject) => (fail = reject)));
    const { work } = counted();
    await expect(idempotency.answer('key', 'f', work)).rejects.toMatchObject({
      code: 'IDEMPOTENCY_CONFLICT',
      details: { retry_after_s: 1 },
    });
    fail(new Error('lost'));
    await expect(first).rejects.toThrow('lost');
    expect((await idempotency.answer('key', 'f', work)).replayed).toBe(false);
  });

  it('returns a response that could not be stored, and logs the failure', async () => {
    const idempotency = createIdempotency(database, log);
    database.exec('CREATE TRIGGER full BEFORE INSERT ON answers BEGIN SELECT RAISE(FAIL, "disk full"); END');
    try {
      const { work, done } = counted();
      expect(await idempotency.answer('key', 'f', work)).toMatchObject({ status: 200, replayed: false });
      expect(await idempotency.answer('key', 'f', work)).toMatchObject({ status: 200, replayed: false });
      expect(done()).toBe(2);
      expect(logged[0]?.message).toBe('an answer could not be stored for its Idempotency-Key');
      expect(logged[0]?.reason).toMatch(/disk full/);
    } finally {
      database.exec('DROP TRIGGER full');
    }
  });
});

it('refuses the key of another request, and separates keys', async () => {
  const idempotency = createIdempotency(database, log);
  const { work } = counted();
  await idempotency.answer('one', 'f', work);
  await expect(idempotency.answer('one', 'g', work)).rejects.toMatchObject({ code: 'IDEMPOTENCY_CONFLICT' });
  expect((await idempotency.answer('two', 'g', work)).replayed).toBe(false);
});

describe('the key of a call', () => {
  const call = (id: string, header: string | undefined): Pick<Caller, 'req' | 'client'> => ({
    req: { get: () => header } as unknown as Caller['req'],
    client: { id, name: 'same', scopes: [] },
  });

  it('contains the client, so that keys of two clients differ', () => {
    expect(keyOf(call('a', 'k'))).toBe('a\nk');
    expect(keyOf(call('b', 'k'))).not.toBe(keyOf(call('a', 'k')));
    expect(keyOf(call('a', undefined))).toBeUndefined();
  });

  it.each(['', ' ', 'a b', 'é', 'x'.repeat(256)])('is refused if it is not visible ASCII: %j', (header) => {
    expect(() => keyOf(call('a', header))).toThrow(/1 to 255 visible ASCII/);
  });
});
