import { readdir } from 'node:fs/promises';
import { Agent, request, type IncomingMessage } from 'node:http';
import { connect } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { EXAMPLE_PICTURE } from '../../../src/media/probe-picture.js';
import { startService, withoutPython, type TestService } from '../start-service.js';
import type { ScoreInput, ScoreOptions, Scorer } from '../../../src/recipes/score/scorer.js';

let service: TestService;
beforeAll(async () => {
  service = await startService(['limits.upload_mb=1', 'limits.manifest_mb=1', 'request_ms=600000'], withoutPython);
});
afterAll(() => service.close());

/** The response up to the point where the service or `enough` ends it. */
function raw(text: string, enough: (answer: string) => boolean = () => false, { url } = service): Promise<string> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve, reject) => {
    let answer = '';
    const socket = connect(Number(port), hostname, () => socket.write(text));
    socket.setEncoding('utf8').on('data', (chunk: string) => {
      answer += chunk;
      if (enough(answer)) socket.destroy();
    });
    socket.on('error', reject).on('close', () => resolve(answer));
  });
}
const whole = (answer: string): boolean => answer.endsWith('}');

describe('pages of other origins', () => {
  const origin = 'https://tools.example.org';
  const from = (url: string, headers: Record<string, string> = {}): Promise<Response> =>
    fetch(`${url}/v1/score`, {
      method: 'POST',
      headers: { Origin: origin, 'Sec-Fetch-Site': 'cross-site', 'Content-Type': 'application/json', ...headers },
      body: JSON.stringify({ items: [{ base64: EXAMPLE_PICTURE }] }),
    });
  const preflight = (url: string, asking: string): Promise<Response> =>
    fetch(`${url}/v1/score`, {
      method: 'OPTIONS',
      headers: {
        Origin: asking,
        'Access-Control-Request-Method': 'POST',
        'Access-Control-Request-Headers': 'content-type,authorization',
      },
    });

  it('cannot call by default', async () => {
    expect((await from(service.url)).status).toBe(403);
    const { status, headers } = await preflight(service.url, origin);
    expect([status, headers.get('access-control-allow-origin')]).toEqual([405, null]);
  });

  it('can call if they are listed, and no others can', async () => {
    const open = await startService([`cors_origins=[${origin}]`], withoutPython);
    try {
      const answer = await from(open.url);
      expect([answer.status, answer.headers.get('access-control-allow-origin')]).toEqual([200, origin]);
      const asked = await preflight(open.url, origin);
      expect([
        asked.status,
        asked.headers.get('access-control-allow-origin'),
        asked.headers.get('access-control-allow-headers'),
      ]).toEqual([204, origin, 'content-type,authorization']);
      expect((await from(open.url, { Origin: 'https://other.example.org' })).status).toBe(403);
      expect(
        (await preflight(open.url, 'https://other.example.org')).headers.get('access-control-allow-origin'),
      ).toBeNull();
    } finally {
      await open.close();
    }
  });

  it.each(['*', 'https://tools.example.org/page', 'null'])('cannot be listed as %s', async (bad) => {
    await expect(startService([`cors_origins=["${bad}"]`], withoutPython)).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
    });
  });
});

describe('a request without usual headers', () => {
  it.each([
    ['HTTP/1.0 without Host', 'GET /v1/models HTTP/1.0\r\n\r\n'],
    ['an empty Host', 'GET /v1/models HTTP/1.1\r\nHost:\r\n\r\n'],
  ])('is refused with 403: %s', async (_what, text) => {
    expect(await raw(text, whole)).toMatch(/^HTTP\/1\.1 403 [^]*"FORBIDDEN"/);
  });

  it('is refused from a page on another port of this machine', async () => {
    const ask = async (site: string): Promise<number> =>
      (await fetch(`${service.url}/v1/score`, { method: 'POST', headers: { 'Sec-Fetch-Site': site } })).status;
    expect([await ask('cross-site'), await ask('same-site'), await ask('same-origin')]).toEqual([403, 403, 415]);
  });
});

describe('a body that is refused while it is sent', () => {
  // larger than the buffers of two sockets, so that the client still sends when the response arrives
  const MEGABYTES = 24;
  async function* large(first: string): AsyncGenerator<Buffer> {
    yield Buffer.from(first);
    for (let i = 0; i < MEGABYTES; i++) yield Buffer.alloc(2 ** 20, 120);
  }
  const send = (path: string, type: string, first: string): Promise<{ status: number; code: string }> =>
    new Promise((resolve, reject) => {
      const outgoing = request(
        service.url + path,
        { method: 'POST', headers: { 'Content-Type': type }, agent: false },
        (response) => {
          let text = '';
          response
            .setEncoding('utf8')
            .on('data', (chunk: string) => (text += chunk))
            .on('end', () =>
              resolve({
                status: response.statusCode ?? 0,
                code: (JSON.parse(text) as { error: { code: string } }).error.code,
              }),
            );
        },
      );
      outgoing.on('error', reject);
      void (async () => {
        for await (const chunk of large(first))
          if (!outgoing.write(chunk)) await new Promise((next) => outgoing.once('drain', next));
        outgoing.end();
      })();
    });

  it.each([
    [
      'a file over the limit',
      '/v1/score',
      'multipart/form-data; boundary=b',
      '--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n',
      413,
      'BODY_TOO_LARGE',
    ],
    ['a body that is a file over the limit', '/v1/score', 'image/png', '', 413, 'BODY_TOO_LARGE'],
    ['a body that no route takes', '/v1/score', 'audio/wav', '', 415, 'BODY_UNSUPPORTED'],
    ['a list with a bad line', '/v1/jobs', 'application/x-ndjson', '{"path": 7}\n', 422, 'BODY_INVALID'],
    ['a list over the limit', '/v1/jobs', 'text/plain', 'a.jpg\n', 413, 'BODY_TOO_LARGE'],
    [
      'a list of a form with a bad line',
      '/v1/jobs',
      'multipart/form-data; boundary=b',
      '--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n{"path": 7}\n',
      422,
      'BODY_INVALID',
    ],
  ])('is answered, and the answer arrives: %s', async (_what, path, type, first, status, code) => {
    expect(await send(path, type, first)).toEqual({ status, code });
    expect(await readdir(service.services.spool)).toEqual([]);
    expect(await readdir(join(service.dataDir, 'jobs')).catch(() => [])).toEqual([]);
  });
});

it('does not wait for a body that never ends, nor keep memory for it', async () => {
  const impatient = await startService(['request_ms=500'], withoutPython);
  try {
    for (const [type, start] of [
      ['application/json', '{"items": ['],
      [
        'multipart/form-data; boundary=b',
        '--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nabc',
      ],
    ] as const) {
      const answer = await raw(
        `POST /v1/score HTTP/1.1\r\nHost: localhost\r\nContent-Type: ${type}\r\nContent-Length: 1000000\r\n\r\n${start}`,
        whole,
        impatient,
      );
      expect(answer).toMatch(/^HTTP\/1\.1 504 [^]*"DEADLINE_EXCEEDED"/);
      await expect.poll(() => impatient.services.memory.used, { timeout: 20_000 }).toBe(0);
    }
  } finally {
    await impatient.close();
  }
});

it('ends at once although a keep-alive connection became idle during the shutdown', async () => {
  const other = await startService(['shutdown_ms=100000'], withoutPython);
  const agent = new Agent({ keepAlive: true });
  const scorer = other.services.models.get();
  const score = scorer.score.bind(scorer);
  let letGo!: () => void;
  const gate = new Promise<void>((resolve) => (letGo = resolve));
  scorer.score = (async (input: ScoreInput, options?: ScoreOptions) => {
    await gate;
    return score(input, options);
  }) as Scorer['score'];
  const answered = new Promise<IncomingMessage>((resolve, reject) => {
    const outgoing = request(
      `${other.url}/v1/score`,
      { method: 'POST', agent, headers: { 'Content-Type': 'application/json' } },
      resolve,
    );
    outgoing.on('error', reject).end(JSON.stringify({ items: [{ base64: EXAMPLE_PICTURE }] }));
  });
  await expect.poll(() => other.services.memory.used, { timeout: 20_000 }).toBeGreaterThan(0); // it is running
  const started = performance.now();
  const closed = other.close();
  letGo();
  const response = await answered;
  expect(response.statusCode).toBe(200);
  response.resume();
  await closed;
  expect(performance.now() - started).toBeLessThan(50_000); // without waiting 70 s, when all connections are closed
  agent.destroy();
});
