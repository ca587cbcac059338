import { request } from 'node:http';
import { gunzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { EXAMPLE_PICTURE } from '../../src/media/probe-picture.js';
import { startService, withoutPython, type TestService } from './start-service.js';

let service: TestService;
let job: string;
beforeAll(async () => {
  service = await startService([], withoutPython);
  const items = Array.from({ length: 60 }, (_, i) => ({ id: `picture ${i}`, base64: EXAMPLE_PICTURE }));
  job = (await service.client.jobs.create(items)).id;
  await service.client.jobs.wait(job);
});
afterAll(() => service.close());

interface Answer {
  readonly status: number | undefined;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: Buffer;
}

/** A request without the automatic decompression of `fetch`. */
const get = (path: string, headers: Record<string, string> = {}, method = 'GET'): Promise<Answer> =>
  new Promise((resolve, reject) => {
    const sent = request(service.url + path, { headers, method }, (res) => {
      const chunks: Buffer[] = [];
      res.on('data', (chunk: Buffer) => chunks.push(chunk));
      res.on('end', () => resolve({ status: res.statusCode, headers: res.headers, body: Buffer.concat(chunks) }));
    });
    sent.on('error', reject);
    sent.end();
  });
const gzip = { 'Accept-Encoding': 'gzip, br' };
const results = (format: string): string => `/v1/jobs/${job}/results?format=${format}`;

describe('results of a job', () => {
  it.each(['ndjson', 'csv', 'csv-safe'])(
    'are compressed as %s for clients that accept gzip, with the same content',
    async (format) => {
      const plain = await get(results(format));
      const packed = await get(results(format), gzip);
      expect([plain.headers['content-encoding'], packed.headers['content-encoding']]).toEqual([undefined, 'gzip']);
      expect([plain.headers['vary'], packed.headers['vary']]).toEqual(['Accept-Encoding', 'Accept-Encoding']);
      expect(packed.headers['content-type']).toBe(plain.headers['content-type']);
      expect(packed.headers['accept-ranges']).toBeUndefined();
      expect(packed.headers['content-length']).toBeUndefined();
      expect(gunzipSync(packed.body).equals(plain.body)).toBe(true);
      expect(packed.body.length).toBeLessThan(plain.body.length / 4);
    },
  );

  it('have ranges of uncompressed bytes, also for clients that accept gzip', async () => {
    const { body } = await get(results('ndjson'));
    const part = await get(results('ndjson'), { ...gzip, Range: 'bytes=10-29' });
    expect([part.status, part.headers['content-encoding'], part.headers['vary']]).toEqual([
      206,
      undefined,
      'Accept-Encoding',
    ]);
    expect(part.headers['content-range']).toBe(`bytes 10-29/${body.length}`);
    expect(part.body.equals(body.subarray(10, 30))).toBe(true);
    const outside = await get(results('ndjson'), { ...gzip, Range: `bytes=${body.length}-` });
    expect([outside.status, outside.headers['content-encoding']]).toEqual([416, undefined]);
    expect(JSON.parse(outside.body.toString())).toMatchObject({ error: { code: 'RANGE_INVALID' } });
  });

  it.each([
    { 'Accept-Encoding': 'gzip;q=0' },
    { 'Accept-Encoding': 'identity, gzip;q=0.5' },
    { 'Accept-Encoding': 'br' },
    { 'Accept-Encoding': '' },
  ])('come as they are with %j', async (headers) => {
    expect((await get(results('ndjson'), headers)).headers['content-encoding']).toBeUndefined();
  });

  it('are not compressed again as Parquet', async () => {
    const { headers, body } = await get(results('parquet'), gzip);
    expect(headers['content-encoding']).toBeUndefined();
    expect(body.subarray(0, 4).toString()).toBe('PAR1');
  });

  it('answer HEAD without a body', async () => {
    const { status, body } = await get(results('ndjson'), gzip, 'HEAD');
    expect([status, body.length]).toEqual([200, 0]);
  });

  it('of an unknown job are an uncompressed error', async () => {
    const { status, headers, body } = await get('/v1/jobs/job_000000000000000000000000/results', gzip);
    expect([status, headers['content-encoding']]).toEqual([404, undefined]);
    expect(JSON.parse(body.toString())).toMatchObject({ error: { code: 'JOB_NOT_FOUND' } });
  });
});

it('are compressed in large JSON responses, but not in small ones', async () => {
  const large = await get('/openapi.json', gzip);
  expect([large.headers['content-encoding'], large.headers['vary']]).toEqual(['gzip', 'Accept-Encoding']);
  expect(JSON.parse(gunzipSync(large.body).toString())).toHaveProperty('openapi');
  expect((await get('/openapi.json')).headers['content-encoding']).toBeUndefined();
  expect((await get(`/v1/jobs/${job}`, gzip)).headers['content-encoding']).toBeUndefined();
});
