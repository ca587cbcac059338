import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { packageRoot } from '../../../src/base/package-root.js';
import { isFailure, type ScoreResult } from '../../../src/api/result.js';
import { createScorer } from '../../../src/recipes/score/create-scorer.js';
import type { ServiceError } from '../../../src/client/client.js';
import { startService, type TestService } from '../start-service.js';

const PICTURES = join(packageRoot, 'test/fixtures/pictures');
const read = async (name: string): Promise<{ data: Uint8Array; name: string }> => ({
  data: await readFile(join(PICTURES, name)),
  name,
});

let service: TestService;
beforeAll(async () => {
  service = await startService([`root=${PICTURES}`, 'limits.items=8', 'limits.upload_mb=1', 'limits.body_mb=1']);
});
afterAll(() => service.close());

const post = (body: unknown, headers: Record<string, string> = {}): Promise<Response> =>
  fetch(`${service.url}/v1/score`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', ...headers },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  });
const failure = async (promise: Promise<unknown>): Promise<ServiceError> =>
  promise.then(
    () => expect.fail('it was answered'),
    (error: unknown) => error as ServiceError,
  );

describe('POST /v1/score', () => {
  it('returns the scores of the command line for uploads, base64 and paths', async () => {
    const uploads = await service.client.score([await read('pristine.jpg'), await read('pan.mp4')], {
      tasks: ['quality', 'aesthetics'],
    });
    const encoded = (await read('pristine.jpg')).data;
    const asJson = await service.client.score(
      [{ base64: Buffer.from(encoded).toString('base64') }, { path: 'pan.mp4' }],
      { tasks: ['quality', 'aesthetics'] },
    );
    await using scorer = await createScorer({ model: 'tiny-untrained', device: 'cpu' });
    const direct = [
      ...(await scorer.score(join(PICTURES, 'pristine.jpg'), { tasks: ['quality', 'aesthetics'] })),
      ...(await scorer.score(join(PICTURES, 'pan.mp4'), { tasks: ['quality', 'aesthetics'] })),
    ];
    for (const answer of [uploads, asJson]) {
      expect(answer).toMatchObject({ scored: 4, failed: 0 });
      const results = answer.items.flatMap((item) => item.results) as ScoreResult[];
      results.forEach((result, i) => {
        const expected = direct[i] as ScoreResult;
        expect(Math.abs(result.score - expected.score)).toBeLessThan(1e-5);
        const other = {
          input: '',
          modified: '',
          score: 0,
          level_probs: 0,
          logits: 0,
          level_mass: 0,
          entropy: 0,
          std: 0,
        };
        expect({ ...result, ...other }).toEqual({ ...expected, ...other });
      });
    }
    // bytes have a size, and only a file has a time
    expect(direct[0]).toMatchObject({ file_size: encoded.length, modified: expect.any(String) as string });
    const times = [uploads, asJson].map(({ items }) =>
      items.map(({ results }) => (results[0] as ScoreResult).modified),
    );
    expect(times).toEqual([
      [undefined, undefined],
      [undefined, expect.any(String)],
    ]);
    expect(uploads.items.map(({ input }) => input)).toEqual(['pristine.jpg', 'pan.mp4']);
  });

  it('reports partial failures per item, and has the status of the failure when nothing was scored', async () => {
    const partial = await service.client.score([
      { path: 'pristine.jpg' },
      { path: 'missing.jpg' },
      { id: 'junk', base64: 'AAAAAAAA' },
    ]);
    expect(partial.items.map(({ ok }) => ok)).toEqual([true, false, false]);
    expect(
      partial.items
        .flatMap(({ results }) => results)
        .filter(isFailure)
        .map(({ input, error }) => [input, error.code]),
    ).toEqual([
      ['missing.jpg', 'MEDIA_NOT_FOUND'],
      ['junk', 'MEDIA_UNSUPPORTED'],
    ]);
    const none = await failure(service.client.score([{ base64: 'AAAAAAAA' }]));
    expect([none.status, none.code]).toEqual([415, 'MEDIA_UNSUPPORTED']);
    expect(none.answer).toMatchObject({ scored: 0, failed: 1, items: [{ ok: false }] });
  });

  it('streams items as they finish', async () => {
    const seen: number[] = [];
    for await (const item of service.client.scoreStream([
      { path: 'pan.mp4' },
      { path: 'pristine.jpg' },
      { path: 'nothing' },
    ]))
      seen.push(item.index);
    expect([...seen].sort()).toEqual([0, 1, 2]);
    expect(seen[0]).toBe(2); // the failure does not wait for the model
  });

  it('scores on the requested scale and with the requested prompt', async () => {
    const percent = (await service.client.score([{ path: 'pristine.jpg' }], { scale: 'percent', prompt: 'automodel' }))
      .items[0]?.results[0] as ScoreResult;
    const plain = (await service.client.score([{ path: 'pristine.jpg' }])).items[0]?.results[0] as ScoreResult;
    expect(percent).toMatchObject({ scale: 'percent', prompt: { name: 'automodel' } });
    expect(percent.score_version).not.toBe(plain.score_version);
  });

  it.each([
    ['no JSON', '{"items": [', {}, 400, 'MALFORMED'],
    ['another content type', 'hello', { 'Content-Type': 'text/plain' }, 415, 'BODY_UNSUPPORTED'],
    ['an unknown key', { items: [{ path: 'pristine.jpg' }], taks: ['quality'] }, {}, 422, 'BODY_INVALID'],
    ['no item', { items: [] }, {}, 422, 'BODY_INVALID'],
    ['an unknown task', { items: [{ path: 'pristine.jpg' }], tasks: ['beauty'] }, {}, 422, 'BODY_INVALID'],
    ['an unknown prompt', { items: [{ path: 'pristine.jpg' }], prompt: 'nope' }, {}, 404, 'CONFIG_NOT_FOUND'],
    [
      'a prompt that is a path',
      { items: [{ path: 'pristine.jpg' }], prompt: '../../etc/x.yaml' },
      {},
      422,
      'BODY_INVALID',
    ],
    [
      'a model that is not loaded',
      { items: [{ path: 'pristine.jpg' }], model: 'one-align' },
      {},
      409,
      'MODEL_NOT_LOADED',
    ],
    ['two sources in one item', { items: [{ path: 'pristine.jpg', base64: 'AAAA' }] }, {}, 422, 'BODY_INVALID'],
    [
      'more items than a request can have',
      { items: Array.from({ length: 9 }, () => ({ path: 'pristine.jpg' })) },
      {},
      413,
      'BODY_TOO_LARGE',
    ],
    ['a larger body', { items: [{ base64: 'A'.repeat(1_500_000) }] }, {}, 413, 'BODY_TOO_LARGE'],
    ['a URL', { items: [{ url: 'http://169.254.169.254/latest/meta-data' }] }, {}, 403, 'MEDIA_URL_FORBIDDEN'],
    ['a deadline that cannot be met', { items: [{ path: 'pan.mp4' }], timeout_ms: 1 }, {}, [429, 504], undefined],
  ] as const)('refuses %s', async (_what, body, headers, status, code) => {
    const response = await post(body, headers);
    const answer = (await response.json()) as { error: { code: string; message: string; request_id: string } };
    expect([status].flat()).toContain(response.status);
    if (code !== undefined) expect(answer.error.code).toBe(code);
    expect(answer.error.request_id).toBe(response.headers.get('x-request-id'));
    expect(JSON.stringify(answer)).not.toMatch(/node_modules|\.ts:\d|\\n +at /);
    if (response.status === 429) expect(Number(response.headers.get('retry-after'))).toBeGreaterThan(0);
  });

  it('refuses a file over the limit, and a form without a file', async () => {
    const large = await failure(service.client.score([{ data: new Uint8Array(1_100_000), name: 'large' }]));
    expect([large.status, large.code]).toEqual([413, 'BODY_TOO_LARGE']);
    const form = new FormData();
    form.append('tasks', 'quality');
    expect((await fetch(`${service.url}/v1/score`, { method: 'POST', body: form })).status).toBe(422);
    const torn = await fetch(`${service.url}/v1/score`, {
      method: 'POST',
      headers: { 'Content-Type': 'multipart/form-data; boundary=x' },
      body: '--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nabc',
    });
    expect(torn.status).toBe(400);
  });

  it('returns the trace to the caller and gives every request an id', async () => {
    const trace = '4bf92f3577b34da6a3ce929d0e0e4736';
    const response = await post(
      { items: [{ path: 'pristine.jpg' }] },
      { traceparent: `00-${trace}-00f067aa0ba902b7-01`, 'X-Request-Id': 'mine-1' },
    );
    expect(response.headers.get('traceparent')).toMatch(
      new RegExp(`^00-${trace}-(?!00f067aa0ba902b7)[0-9a-f]{16}-01$`),
    );
    expect(response.headers.get('x-request-id')).toBe('mine-1');
    await expect
      .poll(() => service.logged.find(({ fields }) => fields?.['request_id'] === 'mine-1')?.fields)
      .toMatchObject({ route: '/v1/score', status: 200, trace_id: trace });
    // and, over the bridge, in the log of the worker
    await expect
      .poll(
        () =>
          service.logged.find(({ message, fields }) => message === 'answered' && fields?.['trace_id'] === trace)
            ?.fields,
      )
      .toMatchObject({ method: 'score', logger: 'qalign.worker' });
  });
});

it('reports its health, readiness, models and metrics', async () => {
  expect(await (await fetch(`${service.url}/healthz`)).json()).toMatchObject({ status: 'ok' });
  expect(await (await fetch(`${service.url}/readyz`)).json()).toEqual({
    ready: true,
    workers_ready: 1,
    models: ['tiny-untrained'],
    devices: [{ model: 'tiny-untrained', device: 'cpu', state: 'ready', restarts: 0 }],
  });
  const { models } = await service.client.models.list();
  expect(models.find(({ id }) => id === 'tiny-untrained')).toMatchObject({
    state: 'loaded',
    default: true,
    untrained: true,
    workers_ready: 1,
  });
  expect(models.find(({ id }) => id === 'one-align')).toMatchObject({ state: 'available' });
  const text = await (await fetch(`${service.url}/metrics`)).text();
  for (const name of [
    'qalign_queue_frames',
    'qalign_expected_wait_seconds',
    'qalign_batch_fill_ratio_bucket',
    'qalign_stage_seconds_bucket',
    'qalign_rejects_total',
    'qalign_worker_restarts',
  ])
    expect(text).toContain(name);
  expect(text).toMatch(/qalign_rejects_total\{reason="BODY_INVALID"\} \d/);
});
