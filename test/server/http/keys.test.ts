import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { EXAMPLE_PICTURE } from '../../../src/media/probe-picture.js';
import type { Request } from 'express';
import { createAuthoriser } from '../../../src/server/http/auth.js';
import { hashKey, type Client } from '../../../src/server/http/client-key.js';
import { createKeyStore, type StoredKey } from '../../../src/server/http/key-store.js';
import { createServiceRunStore } from '../../../src/server/runs/store.js';
import { openServiceDatabase } from '../../../src/server/service-database.js';
import { startService, withoutPython, type TestService } from '../start-service.js';

/** Creates keys before a service starts, and removes one. */
function withStore<T>(dataDir: string, work: (keys: ReturnType<typeof createKeyStore>) => T): T {
  const database = openServiceDatabase(dataDir);
  try {
    return work(createKeyStore(database));
  } finally {
    database.close();
  }
}

let place: string;
let dataDir: string;
beforeAll(async () => {
  place = await mkdtemp(join(tmpdir(), 'qalign-keys-'));
  dataDir = join(place, 'service');
  await mkdir(dataDir);
});
afterAll(() => rm(place, { recursive: true, force: true }));

const items = [{ id: 'a', base64: EXAMPLE_PICTURE }];
interface Answer {
  readonly status: number;
  readonly body: { readonly id: string; readonly error?: { readonly code: string } } & Record<string, unknown>;
}
const ask = async (service: TestService, key: string, method: string, path: string, body?: object): Promise<Answer> => {
  const answer = await fetch(service.url + path, {
    method,
    headers: { Authorization: `Bearer ${key}`, ...(body === undefined ? {} : { 'Content-Type': 'application/json' }) },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await answer.text();
  return { status: answer.status, body: (text.startsWith('{') ? JSON.parse(text) : { text }) as Answer['body'] };
};
const untilEnded = (service: TestService, key: string, id: string): Promise<void> =>
  expect.poll(async () => (await ask(service, key, 'GET', `/v1/jobs/${id}`)).body['status']).toBe('completed');

describe('a key that is created again under an old name', () => {
  it('sees no data of the old key, and cannot get its jobs by their Idempotency-Key', async () => {
    const old = withStore(dataDir, (keys) => keys.create('web', ['jobs']));
    const first = await startService([], { ...withoutPython, dataDir });
    const { id } = (await ask(first, old, 'POST', '/v1/jobs', { items })).body;
    await untilEnded(first, old, id);
    await first.close();
    const fresh = withStore(dataDir, (keys) => {
      keys.revoke('web');
      return keys.create('web', ['jobs']);
    });
    const second = await startService([], { ...withoutPython, dataDir });
    try {
      expect((await ask(second, fresh, 'GET', `/v1/jobs/${id}`)).status).toBe(404);
      expect((await ask(second, fresh, 'DELETE', `/v1/jobs/${id}`)).status).toBe(404);
      expect((await ask(second, fresh, 'GET', '/v1/jobs')).body).toEqual({ jobs: [] });
    } finally {
      await second.close();
    }
  });
});

describe('createAuthoriser', () => {
  const ask = (authorise: ReturnType<typeof createAuthoriser>): Client =>
    authorise({ get: () => undefined, hostname: 'localhost' } as unknown as Request, 'jobs');

  it('answers this machine without a key while there never was one', () => {
    const keys: StoredKey[] = [];
    const authorise = createAuthoriser({ all: () => keys }, true);
    expect(ask(authorise).id).toBe('local');
    keys.push({ id: 'key_1', name: 'web', scopes: ['jobs'], hash: hashKey('x'), createdAt: 0 });
    expect(() => ask(authorise)).toThrow('needs an API key');
  });

  it.each(['after a request', 'before any request'])('opens nothing when the last key is revoked %s', (when) => {
    const keys: StoredKey[] = [{ id: 'key_1', name: 'web', scopes: ['jobs'], hash: hashKey('x'), createdAt: 0 }];
    const authorise = createAuthoriser({ all: () => keys }, true);
    if (when === 'after a request') expect(() => ask(authorise)).toThrow('needs an API key');
    keys.pop();
    expect(() => ask(authorise)).toThrow('needs an API key');
  });
});

describe('run:NAME', () => {
  it('names no training of another key, but those of qalign train', async () => {
    const runs = join(place, 'names');
    for (const name of ['anns', 'nobodys']) await mkdir(join(runs, name, 'model'), { recursive: true });
    await writeFile(join(place, 'records.jsonl'), '{"id":"a","media":"a.png","mos":1}\n');
    const [ann, bob, admin] = withStore(dataDir, (keys) => [
      keys.create('ann', ['train']),
      keys.create('bob', ['train']),
      keys.create('chief', ['admin']),
    ]);
    const database = openServiceDatabase(dataDir);
    const owner = createKeyStore(database)
      .all()
      .find(({ name }) => name === 'ann')?.id;
    createServiceRunStore(database).insert({
      ...{ id: `run_${'1'.repeat(24)}`, kind: 'run', owner: owner ?? '', name: 'anns', status: 'completed' },
      ...{ recipe: {}, fingerprint: '', folder: join(runs, 'anns'), message: undefined, createdAt: 1, finishedAt: 2 },
    });
    database.close();
    const service = await startService([`root=${place}`, `runs_dir=${runs}`], { ...withoutPython, dataDir });
    const codeOf = async (key: string, run: string): Promise<string | undefined> => {
      const recipe = { name: 'x', model: `run:${run}`, data: [{ name: 'own', records: 'records.jsonl' }] };
      return (await ask(service, key, 'POST', '/v1/evaluations', { recipe })).body.error?.code;
    };
    try {
      expect(await codeOf(bob, 'anns')).toBe('RUN_NOT_FOUND');
      // they are refused later: the folders hold no model
      for (const [key, run] of [
        [ann, 'anns'],
        [admin, 'anns'],
        [bob, 'nobodys'],
      ] as const)
        expect(await codeOf(key, run)).not.toBe('RUN_NOT_FOUND');
    } finally {
      await service.close();
    }
  });
});

describe('jobs of a service with a root that contains its own folders', () => {
  let service: TestService;
  let key: string;
  beforeAll(async () => {
    key = withStore(dataDir, (keys) => keys.create('lists', ['jobs', 'score']));
    for (const name of ['list.txt', 'list.csv', '.hidden.txt', 'secret.env', 'config.yaml', 'service/a.txt'])
      await writeFile(join(place, name), 'secret\n');
    await mkdir(join(place, '.git'));
    await writeFile(join(place, '.git/list.txt'), 'secret\n');
    await symlink(join(place, 'secret.env'), join(place, 'linked.txt'));
    service = await startService([`root=${place}`, `runs_dir=${join(place, 'runs')}`], { ...withoutPython, dataDir });
  });
  afterAll(() => service.close());

  it.each(['list.txt', './list.csv'])('takes a list: %s', async (path) => {
    expect((await ask(service, key, 'POST', '/v1/jobs', { manifest_path: path })).status).toBe(202);
  });

  it.each([
    'secret.env',
    'config.yaml',
    '.hidden.txt',
    '.git/list.txt',
    'linked.txt',
    'service/a.txt',
    'service/service.db',
  ])('reads no other file as a list: %s', async (path) => {
    const { status, body } = await ask(service, key, 'POST', '/v1/jobs', { manifest_path: path });
    expect([status, body.error?.code]).toEqual([403, 'PATH_FORBIDDEN']);
  });

  it('scores no file of the service', async () => {
    await writeFile(join(dataDir, 'uploads', 'other.png'), Buffer.from(EXAMPLE_PICTURE, 'base64'));
    const { status, body } = await ask(service, key, 'POST', '/v1/score', {
      items: [{ path: 'service/uploads/other.png' }],
    });
    expect([status, body.error?.code]).toEqual([403, 'PATH_FORBIDDEN']);
  });

  it('deletes an ended job with its data, once', async () => {
    const { id } = (await ask(service, key, 'POST', '/v1/jobs', { items })).body;
    await untilEnded(service, key, id);
    const folder = join(dataDir, 'jobs', id);
    const events = fetch(`${service.url}/v1/jobs/${id}/events`, { headers: { Authorization: `Bearer ${key}` } });
    const kept = await ask(service, key, 'DELETE', `/v1/jobs/${id}?cancel_only=true`);
    expect([kept.body['deleted'], existsSync(folder)]).toEqual([false, true]);
    const gone = await ask(service, key, 'DELETE', `/v1/jobs/${id}`);
    expect([gone.status, gone.body['deleted'], gone.body['status'], existsSync(folder)]).toEqual([
      200,
      true,
      'completed',
      false,
    ]);
    for (const [method, end] of [
      ['GET', ''],
      ['GET', '/results'],
      ['GET', '/results?format=csv'],
      ['DELETE', ''],
    ] as const)
      expect((await ask(service, key, method, `/v1/jobs/${id}${end}`)).status).toBe(404);
    await (await events).text(); // until the stream ends
  });

  it('a job that is deleted while its results are requested is not found', async () => {
    const { id } = (await ask(service, key, 'POST', '/v1/jobs', { items })).body;
    await untilEnded(service, key, id);
    const [removed, ...read] = await Promise.all([
      ask(service, key, 'DELETE', `/v1/jobs/${id}`),
      ...['', '?format=csv', '?format=parquet'].map((query) =>
        ask(service, key, 'GET', `/v1/jobs/${id}/results${query}`),
      ),
    ]);
    expect(removed.status).toBe(200);
    for (const { status } of read) expect([200, 404]).toContain(status);
  });
});

describe('the limits of one client', () => {
  const raw = (url: string, text = ''): Promise<Socket> =>
    new Promise((resolve) => {
      const { hostname, port } = new URL(url);
      const socket = connect(Number(port), hostname, () => {
        socket.write(text);
        resolve(socket);
      });
      socket.on('error', () => {});
    });

  it('bodies that are announced but not sent reserve no memory', async () => {
    const service = await startService(['limits.memory_mb=8', 'limits.body_mb=8'], withoutPython);
    const sockets = await Promise.all(
      Array.from({ length: 8 }, () =>
        raw(
          service.url,
          'POST /v1/score HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 8000000\r\n\r\n{',
        ),
      ),
    );
    try {
      await expect.poll(() => service.services.memory.used).toBe(8);
      expect((await service.client.score(items)).scored).toBe(1);
    } finally {
      for (const socket of sockets) socket.destroy();
      await expect.poll(() => service.services.memory.used).toBe(0);
      await service.close();
    }
  });

  it('one key cannot use the memory of the others', async () => {
    const [greedy, other] = withStore(dataDir, (keys) =>
      ['greedy', 'other'].map((name) => keys.create(name, ['score'])),
    ) as [string, string];
    const limits = ['limits.memory_mb=4', 'limits.key_memory_mb=2', 'limits.body_mb=4'];
    const service = await startService(limits, { ...withoutPython, dataDir });
    const head = `POST /v1/score HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${greedy}\r\nContent-Type: application/json\r\n`;
    const socket = await raw(service.url, `${head}Content-Length: 4000000\r\n\r\n${'['.padEnd(1_900_000, ' ')}`);
    try {
      await expect.poll(() => service.services.memory.used).toBe(1_900_000);
      const big = { items: [{ base64: EXAMPLE_PICTURE.padEnd(400_000, 'A') }] };
      const refused = await ask(service, greedy, 'POST', '/v1/score', big);
      expect([refused.status, refused.body.error?.code]).toEqual([429, 'OVERLOADED']);
      expect((await ask(service, other, 'POST', '/v1/score', { items })).status).toBe(200);
    } finally {
      socket.destroy();
      await service.close();
    }
  });

  it('limits the connections of an address, and accepts a new one when one is closed', async () => {
    const service = await startService(['limits.address_connections=4'], withoutPython);
    const closed = (socket: Socket): Promise<unknown> =>
      new Promise((resolve) => (socket.closed ? resolve(true) : socket.resume().once('close', resolve)));
    const held: Socket[] = [];
    try {
      for (let i = 0; i < 4; i++) held.push(await raw(service.url));
      await closed(await raw(service.url));
      held.pop()?.destroy();
      await expect
        .poll(() =>
          fetch(`${service.url}/healthz`).then(
            ({ ok }) => ok,
            () => false,
          ),
        )
        .toBe(true);
    } finally {
      for (const socket of held) socket.destroy();
      await service.close();
    }
  });
});
