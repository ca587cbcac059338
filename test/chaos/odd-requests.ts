/** Requests that a service should refuse or survive, each made anew from a seed. */
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import { pick } from './ledger.js';
import { heads, oddPath, oddQuery, oddText, oddValue, picturesOf, randomBytes, type Random } from './odd-parts.js';

export interface Target {
  readonly port: number;
  /** A picture below the root of the service, and its bytes. */
  readonly picture: string;
  readonly bytes: Buffer;
  readonly random: Random;
}

type Odd = (target: Target) => Promise<string>;

const JSON_TYPE = 'Content-Type: application/json\r\n';
const FORM = 'multipart/form-data; boundary=b';
const PATHS = ['/v1/score', '/v1/jobs', '/v1/compare', '/v1/train_runs', '/v1/evaluations', '/v1/models', '/readyz'];
/** 40 kB that become more than a JSON body may have. */
const BOMB = gzipSync(Buffer.alloc(40e6));
const METHODS = ['PUT', 'PATCH', 'DELETE', 'TRACE', 'PROPFIND', 'POST', 'GET', 'LINK'];

const post = (path: string, type: string, body: string | Buffer, more = ''): Buffer =>
  Buffer.concat([
    Buffer.from(heads('POST', path, `Content-Type: ${type}\r\nContent-Length: ${Buffer.byteLength(body)}\r\n${more}`)),
    Buffer.from(body),
  ]);
const json = (path: string, value: unknown, more = ''): Buffer =>
  post(path, 'application/json', JSON.stringify(value), more);
const form = (bytes: Buffer, name = 'a.jpg', end = '\r\n--b--\r\n'): Buffer =>
  Buffer.concat([
    Buffer.from(`--b\r\nContent-Disposition: form-data; name="file"; filename="${name}"\r\n\r\n`),
    bytes,
    Buffer.from(end),
  ]);
const count = (random: Random, most: number): number => 1 + Math.floor(random() * most);

/** By name; every request of the soak is one of these, in equal parts. */
export const ODD_REQUESTS: Readonly<Record<string, Odd>> = {
  async malformed_json({ port, picture, random }) {
    const text = JSON.stringify({ items: [{ path: picture }], tasks: ['quality'] });
    const at = Math.floor(random() * text.length);
    const broken = text.slice(0, at) + pick(random, ['', '}', '\\u12', '[', '"', ',,', 'NaN']) + text.slice(at + 1);
    return exchange(port, post(pick(random, PATHS), 'application/json', broken));
  },
  wrong_types: ({ port, picture, random }) =>
    exchange(
      port,
      json(pick(random, ['/v1/score', '/v1/jobs', '/v1/compare']), {
        items: pick(random, [[{ path: oddValue(random) }], oddValue(random), [oddValue(random)], [{ path: picture }]]),
        [pick(random, ['tasks', 'scale', 'prompt', 'timeout_ms', 'model', 'strict', '__proto__'])]: oddValue(random),
      }),
    ),
  deep_json: ({ port, random }) =>
    exchange(port, post('/v1/score', 'application/json', pick(random, ['[', '{"a":']).repeat(count(random, 20_000)))),
  truncated_form: ({ port, bytes, random }) =>
    exchange(
      port,
      post('/v1/score', FORM, form(bytes.subarray(0, 3000), 'a.jpg', pick(random, ['', '\r\n--', '--b']))),
    ),
  odd_form: ({ port, bytes, random }) =>
    exchange(
      port,
      post(
        pick(random, ['/v1/score', '/v1/jobs']),
        pick(random, [FORM, 'multipart/form-data', 'multipart/form-data; boundary=']),
        form(bytes.subarray(0, 500), oddText(random).replaceAll(/["\r\n]/g, '')),
      ),
    ),
  async aborted_upload({ port, bytes, random }) {
    const whole = post('/v1/score', pick(random, [FORM, 'image/jpeg']), form(bytes));
    return lose(port, whole.subarray(0, Math.floor(random() * whole.length)), 0);
  },
  wrong_method: ({ port, random }) =>
    exchange(port, heads(pick(random, METHODS), pick(random, PATHS), 'Content-Length: 0\r\n')),
  huge_headers: ({ port, random }) =>
    exchange(
      port,
      heads('GET', '/v1/models', pick(random, [`X-A: ${'a'.repeat(30_000)}\r\n`, 'X-B: 1\r\n'.repeat(1500)])),
    ),
  odd_path: ({ port, random }) => exchange(port, heads(pick(random, ['GET', 'DELETE']), oddPath(random))),
  odd_query: ({ port, random }) =>
    exchange(
      port,
      heads('GET', `${pick(random, ['/v1/jobs', '/v1/train_runs', '/v1/evaluations'])}${oddQuery(random)}`),
    ),
  odd_utf8: ({ port, random }) =>
    exchange(
      port,
      post(
        '/v1/score',
        pick(random, ['application/json', 'application/json; charset=utf-16']),
        Buffer.concat([Buffer.from('{"items":[{"path":"'), randomBytes(random, 20), Buffer.from('"}]}')]),
      ),
    ),
  head_or_options: ({ port, random }) =>
    exchange(port, heads(pick(random, ['HEAD', 'OPTIONS']), pick(random, PATHS), 'Origin: https://a.example\r\n')),
  async slow_body({ port, picture, random }) {
    const body = JSON.stringify({ items: [{ path: picture }] });
    const length = body.length + pick(random, [0, 10]);
    const socket = await open(port);
    if (socket === undefined) return 'no connection';
    const answered = firstLine(socket);
    socket.write(heads('POST', '/v1/score', `${JSON_TYPE}Content-Length: ${length}\r\n`));
    for (const letter of body) {
      socket.write(letter);
      await sleep(2);
    }
    if (length > body.length) socket.destroy(); // the rest never comes
    return answered.finally(() => socket.destroy());
  },
  invalid_picture({ port, bytes, random }) {
    const picture = pick(random, picturesOf(random, bytes));
    const item = { base64: picture.toString('base64') };
    return exchange(
      port,
      pick(random, [json('/v1/score', { items: [item] }), post('/v1/score', 'image/png', picture)]),
    );
  },
  cancelled_stream: ({ port, picture }) =>
    lose(
      port,
      json(
        '/v1/score',
        { items: Array.from({ length: 4 }, (_, i) => ({ id: `${i}`, path: picture })) },
        'Accept: application/x-ndjson\r\n',
      ),
      1,
    ),
  async job({ port, picture, random }) {
    const settings = json('/v1/jobs', { items: Array(count(random, 3)).fill({ path: picture }), tasks: ['quality'] });
    const text = await exchange(port, settings, { until: whole });
    const id = /job_[0-9a-f]{24}/.exec(text)?.[0];
    if (id === undefined) return statusOf(text);
    const path = `/v1/jobs/${id}`;
    await lose(port, heads('GET', `${path}/events`, 'Accept: text/event-stream\r\n'), 1);
    await exchange(port, heads('GET', `${path}/results`));
    // the first cancels it, or deletes it where it has ended
    await exchange(port, heads('DELETE', path));
    return exchange(port, heads('DELETE', path));
  },
  packed: ({ port, picture, random }) =>
    exchange(
      port,
      post(
        '/v1/score',
        'application/json',
        pick(random, [
          gzipSync(JSON.stringify({ items: [{ path: picture }] })),
          BOMB,
          randomBytes(random, 300),
          gzipSync('{"items":[]}').subarray(0, 12),
        ]),
        `Content-Encoding: ${pick(random, ['gzip', 'br', 'deflate', 'zstd', 'gzip, gzip'])}\r\n`,
      ),
    ),
  garbage: ({ port, random }) =>
    exchange(
      port,
      pick(random, [
        randomBytes(random, 400),
        heads('POST', '/v1/score', `${JSON_TYPE}Content-Length: -1\r\n`),
        heads('POST', '/v1/score', `${JSON_TYPE}Content-Length: 1\r\nTransfer-Encoding: chunked\r\n`),
        `${heads('POST', '/v1/score', `${JSON_TYPE}Transfer-Encoding: chunked\r\n`)}zz\r\n{}\r\n0\r\n\r\n`,
        heads('GET', '/', 'Upgrade: websocket\r\nConnection: Upgrade\r\n'),
        'GET / HTTP/9.9\r\n\r\n',
        '\r\n\r\n\r\n',
      ]),
      { last: true },
    ),
  pipelined: ({ port, picture, random }) =>
    exchange(
      port,
      Buffer.concat(Array(count(random, 5)).fill(json('/v1/score', { items: [{ path: picture }] })) as Buffer[]),
    ),
  repeated: ({ port, picture, random }) =>
    exchange(port, json('/v1/score', { items: [{ path: picture }] }, `Idempotency-Key: soak-${count(random, 50)}\r\n`)),
  valid: ({ port, bytes, random }) =>
    exchange(
      port,
      pick(random, [
        post('/v1/score', FORM, form(bytes)),
        post('/v1/score', 'image/jpeg', bytes),
        json('/v1/score', { items: [{ base64: bytes.toString('base64') }] }),
      ]),
    ),
};

const statusOf = (text: string): string => /^HTTP\/1\.1 (\d{3})/.exec(text)?.[1] ?? (text === '' ? 'closed' : 'other');
/** An answer of JSON that is not packed ends so. */
const whole = (text: string): boolean => text.endsWith('}') || text.endsWith('}\n');

/** The status of the answer, or all of it up to `until`. `last`: the service is told that nothing more is sent. */
async function exchange(
  port: number,
  text: string | Buffer,
  { until, last = false }: { readonly until?: (text: string) => boolean; readonly last?: boolean } = {},
): Promise<string> {
  const socket = await open(port);
  if (socket === undefined) return 'no connection';
  const answered = until === undefined ? firstLine(socket) : collected(socket, until);
  if (last) socket.end(text);
  else socket.write(text);
  return answered.finally(() => socket.destroy());
}

/** Sends, reads `parts` pieces of an answer, and is gone. */
async function lose(port: number, text: string | Buffer, parts: number): Promise<string> {
  const socket = await open(port);
  if (socket === undefined) return 'no connection';
  const answered = firstLine(socket);
  await new Promise<void>((sent) => socket.write(text, () => sent()));
  const status = parts === 0 ? 'left' : await answered;
  socket.destroy();
  return status;
}

const firstLine = async (socket: Socket): Promise<string> => statusOf(await collected(socket, () => true));

function collected(socket: Socket, enough: (text: string) => boolean): Promise<string> {
  return new Promise((resolve) => {
    let text = '';
    const late = setTimeout(() => resolve(text === '' ? 'silent' : text), 40_000);
    const end = (): void => {
      clearTimeout(late);
      resolve(text);
    };
    socket.setEncoding('latin1').on('data', (chunk: string) => {
      text += chunk;
      if (enough(text)) end();
    });
    socket.on('close', end);
  });
}

function open(port: number): Promise<Socket | undefined> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => resolve(socket));
    socket.on('error', () => resolve(undefined));
  });
}
