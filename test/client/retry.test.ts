import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createClient, type ServiceError } from '../../src/client/client.js';
import { waitBefore } from '../../src/client/retry.js';
import { secondsOf } from '../../src/client/service-error.js';

type Answer = (res: ServerResponse, req: IncomingMessage) => void;
interface Seen {
  readonly path: string | undefined;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

const refuse =
  (status: number, code: string, retryable: boolean, retryAfter = '0'): Answer =>
  (res) =>
    res
      .writeHead(status, { 'Retry-After': retryAfter })
      .end(JSON.stringify({ error: { code, message: 'later', retryable, request_id: 'r' } }));
const busy = refuse(429, 'OVERLOADED', true);
const done: Answer = (res) => res.end(JSON.stringify({ id: 'job_1', items: [{ ok: true }], scored: 1 }));

let answers: Answer[];
let seen: Seen[];
let url: string;
const server = createServer((req, res) => {
  void buffer(req).then((body) => {
    seen.push({ path: req.url, headers: req.headers, body });
    (answers.shift() ?? done)(res, req);
  });
});
beforeEach(async () => {
  [answers, seen] = [[], []];
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterEach(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

const picture = new Uint8Array([1, 2, 3, 4]);
const refused = (call: Promise<unknown>): Promise<ServiceError> =>
  call.then(
    () => expect.fail('it was answered'),
    (error: unknown) => error as ServiceError,
  );

describe('a request that is temporarily refused', () => {
  it('is sent again with the same body after 429 and 503', async () => {
    answers = [busy, refuse(503, 'NO_WORKER', true)];
    expect(await createClient({ url }).score([picture])).toMatchObject({ scored: 1 });
    expect(seen).toHaveLength(3);
    expect(seen[2]?.body).toEqual(seen[0]?.body);
    expect(seen[0]?.body.includes(Buffer.from(picture))).toBe(true);
  });

  it('stops after the last retry, with an error that states the number of attempts', async () => {
    answers = [busy, busy, busy, busy];
    const error = await refused(createClient({ url, retries: 2 }).score([picture]));
    expect([error.name, error.status, error.code, error.attempts]).toEqual(['ServiceError', 429, 'OVERLOADED', 3]);
    expect((await refused(createClient({ url }).score([picture], {}, { retries: 0 }))).attempts).toBe(1);
  });

  it('is not sent again for a final error, for other statuses, or as a stream', async () => {
    const client = createClient({ url });
    for (const answer of [refuse(503, 'DEVICE_UNAVAILABLE', false), refuse(504, 'DEADLINE_EXCEEDED', true)]) {
      answers = [answer];
      expect((await refused(client.score([picture]))).attempts).toBe(1);
    }
    answers = [busy];
    expect((await refused(client.scoreFile(new Blob([picture]).stream()))).attempts).toBe(1);
  });

  it('has one Idempotency-Key for every call that creates something', async () => {
    const client = createClient({ url });
    const calls = [
      () => client.jobs.create('a.jpg\n'),
      () => client.trainRuns.create({ recipe: {} }),
      () => client.evaluations.create({ recipe: {} }),
      () => client.datasets.convert({ out: 'x' }),
    ];
    for (const call of calls) {
      [answers, seen] = [[busy], []];
      await call();
      const keys = seen.map(({ headers }) => headers['idempotency-key']);
      expect(keys[0]).toMatch(/^[0-9a-f]{32}$/);
      expect(keys).toEqual([keys[0], keys[0]]);
    }
    await client.jobs.create('a.jpg\n', {}, { idempotencyKey: 'mine' });
    expect(seen.at(-1)?.headers['idempotency-key']).toBe('mine');
  });

  it('stops waiting when its signal aborts', async () => {
    answers = [refuse(429, 'OVERLOADED', true, '60')];
    const abort = new AbortController();
    const call = refused(createClient({ url }).score([picture], {}, { signal: abort.signal }));
    setTimeout(() => abort.abort(new Error('enough')), 50);
    expect((await call).message).toBe('enough');
    expect(seen).toHaveLength(1);
  });
});

it('reads Retry-After as seconds or as a date, and stops if it is too long', async () => {
  const now = Date.parse('2026-01-01T00:00:00Z');
  expect([secondsOf('7', now), secondsOf('Thu, 01 Jan 2026 00:00:30 GMT', now)]).toEqual([7, 30]);
  expect([secondsOf('Wed, 31 Dec 2025 00:00:00 GMT', now), secondsOf(null), secondsOf('soon')]).toEqual([
    0,
    undefined,
    undefined,
  ]);
  for (const text of ['in 5', 'abc 12', '-5', '5 seconds', 'NaN', 'Mon 5', '2026-01-01T00:00:30Z'])
    expect([text, secondsOf(text, now)]).toEqual([text, undefined]);
  answers = [refuse(429, 'OVERLOADED', true, '3600')];
  const error = await refused(createClient({ url }).score([picture]));
  expect([error.attempts, error.retryAfterS]).toEqual([1, 3600]);
  const without = { ...error, retryAfterS: undefined, answer: 'a page' } as ServiceError;
  expect([1, 2, 3].map((attempts) => waitBefore({ ...without, attempts }, () => 0))).toEqual([0.5, 1, 2]);
  expect(waitBefore({ ...error, retryAfterS: 4 }, () => 1)).toBe(5);
});

describe('items', () => {
  it('of all kinds can be in one list, which sends bytes as base64', async () => {
    const file = new Blob([picture]);
    await createClient({ url }).score([file, { data: picture.buffer, name: 'b.png' }, { path: 'c.png' }]);
    expect(JSON.parse(seen[0]?.body.toString() as string)).toEqual({
      items: [{ id: 'item 1', base64: 'AQIDBA==' }, { id: 'b.png', base64: 'AQIDBA==' }, { path: 'c.png' }],
    });
  });

  it('can have any name in a form', async () => {
    await createClient({ url }).score([{ data: picture, name: 'ä "b"\r\n.png' }], { tasks: ['quality'] });
    const form = await new Response(new Uint8Array(seen[0]?.body ?? []), {
      headers: { 'Content-Type': seen[0]?.headers['content-type'] as string },
    }).formData();
    expect(form.get('tasks')).toBe('quality');
    expect(seen[0]?.body.toString()).toContain('filename="ä %22b%22%0D%0A.png"');
  });

  it('can be a single file as the body', async () => {
    const file = new Blob([picture], { type: 'image/png' });
    const scored = await createClient({ url }).scoreFile(file, { scale: 'unit' }, { name: 'ä b.png' });
    expect(scored).toEqual({ ok: true });
    expect(seen[0]).toMatchObject({ path: '/v1/score?scale=unit', body: Buffer.from(picture) });
    expect(seen[0]?.headers).toMatchObject({
      'content-type': 'image/png',
      'content-disposition': "attachment; filename*=UTF-8''%C3%A4%20b.png",
    });
  });
});

it('report how much of the body was sent, which keeps its length', async () => {
  const data = new Uint8Array(3_000_000);
  const told: [number, number | undefined][] = [];
  await createClient({ url }).score([data], {}, { onUploadProgress: (sent, total) => told.push([sent, total]) });
  const length = Number(seen[0]?.headers['content-length']);
  expect(length).toBe(seen[0]?.body.length);
  expect(told[0]).toEqual([0, length]);
  expect(told.at(-1)).toEqual([length, length]);
  expect(told.length).toBeGreaterThan(3);
});

it('cancel a stream that is not read to its end', async () => {
  const closed = new Promise<void>((resolve) => {
    answers = [
      (res) => {
        res.on('close', resolve);
        res.write('{"index":0}\n{"index":1}\n');
      },
    ];
  });
  for await (const { index } of createClient({ url }).scoreStream([picture])) if (index === 0) break;
  await closed;
});

describe('a response that is not from the service', () => {
  const page: Answer = (res) => res.writeHead(200, { 'Content-Type': 'text/html' }).end('<html>\nlog in</html>');
  const cutAfter =
    (text: string): Answer =>
    (res) =>
      res.socket?.end(`HTTP/1.0 200 OK\r\n\r\n${text}`);
  const streamed = async (): Promise<unknown[]> => {
    const items = [];
    for await (const item of createClient({ url }).scoreStream([picture, picture])) items.push(item);
    return items;
  };

  it('is a ServiceError with its text, for one response and for lines', async () => {
    const client = createClient({ url });
    for (const call of [
      () => client.score([picture]),
      () => client.jobs.get('job_1'),
      () => client.jobs.wait('x'),
      streamed,
    ]) {
      answers = [page, page];
      const error = await refused(call());
      expect([error.name, error.status, error.code]).toEqual(['ServiceError', 200, 'UNKNOWN']);
      expect(error.message).toMatch(/text\/html.* is not JSON/);
    }
  });

  it('is an error if lines are missing or the last line is incomplete', async () => {
    answers = [cutAfter('{"index":0}\n')];
    expect((await refused(streamed())).message).toContain('after 1 of 2 items');
    answers = [cutAfter('{"index":0}\n{"ind')];
    expect((await refused(streamed())).code).toBe('UNKNOWN');
    answers = [(res) => res.end('{}')];
    expect((await refused(createClient({ url }).scoreFile(picture))).message).toContain('after 0 of 1 items');
  });

  it('returns no event that was cut off', async () => {
    answers = [cutAfter('id: 1\ndata: {"a":1}\n\nid: 2\ndata: {"a"')];
    const ids = [];
    for await (const { id } of createClient({ url }).jobs.events('job_1')) ids.push(id);
    expect(ids).toEqual([1]);
  });
});

it('sends ids as one part of the path, and refuses items that are none', async () => {
  const client = createClient({ url });
  await client.jobs.get('../models?x#y');
  await client.trainRuns.stop('a/b');
  expect(seen.map(({ path }) => path)).toEqual(['/v1/jobs/..%2Fmodels%3Fx%23y', '/v1/train_runs/a%2Fb/stop']);
  await expect(client.score(['a.jpg' as never])).rejects.toThrow(/^Item 1 is a string; pass bytes/);
});
