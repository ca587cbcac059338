import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { packageRoot } from '../../../src/base/package-root.js';
import type { ScoreResult } from '../../../src/api/result.js';
import { OTHER_PICTURE } from '../../../src/api/examples.js';
import { EXAMPLE_PICTURE } from '../../../src/media/probe-picture.js';
import type { ServiceError } from '../../../src/client/client.js';
import { startService, withoutPython, type TestService } from '../start-service.js';

const PICTURES = join(packageRoot, 'test/fixtures/pictures');
let service: TestService;
beforeAll(async () => {
  // the score of this scorer depends on the length of an item's name
  service = await startService([`root=${PICTURES}`], withoutPython);
});
afterAll(() => service.close());

const named = (id: string): { id: string; base64: string } => ({ id, base64: EXAMPLE_PICTURE });
const failure = async (promise: Promise<unknown>): Promise<ServiceError> =>
  promise.then(
    () => expect.fail('it was answered'),
    (error: unknown) => error as ServiceError,
  );

describe('POST /v1/compare', () => {
  it('returns the probability that A is better, and the complement when they are swapped', async () => {
    const one = await service.client.compare(named('a'), named('abcdef'));
    const two = await service.client.compare(named('abcdef'), named('a'));
    expect([one.better, two.better]).toEqual(['second', 'first']);
    expect(one.probability + two.probability).toBeCloseTo(1, 10);
    expect(one.probability).toBeLessThan(0.5);
    expect((one.items[0]?.results[0] as ScoreResult).score).toBeLessThan(
      (one.items[1]?.results[0] as ScoreResult).score,
    );
    expect(await service.client.compare(named('abc'), named('xyz'))).toMatchObject({
      better: 'equal',
      probability: 0.5,
    });
  });

  it('accepts uploads, and fails completely when one cannot be scored', async () => {
    const data = await readFile(join(PICTURES, 'pristine.jpg'));
    expect((await service.client.compare({ data, name: 'pristine.jpg' }, { data, name: 'p.jpg' })).better).toBe(
      'first',
    );
    const error = await failure(service.client.compare(named('a'), { id: 'bad one', base64: OTHER_PICTURE }));
    expect([error.status, error.code]).toEqual([422, 'MEDIA_CORRUPT']);
    expect(error.message).toContain('bad one');
  });

  it('refuses three, one, and two tasks', async () => {
    const post = async (path: string, body: object): Promise<number> =>
      (
        await fetch(service.url + path, {
          method: 'POST',
          headers: { 'Content-Type': 'application/json' },
          body: JSON.stringify(body),
        })
      ).status;
    expect(await post('/v1/compare', { items: [named('a'), named('b'), named('c')] })).toBe(422);
    expect(await post('/v1/compare', { items: [named('a')] })).toBe(422);
    expect(await post('/v1/compare', { items: [named('a'), named('b')], tasks: ['quality', 'aesthetics'] })).toBe(422);
    const form = new FormData();
    form.append('file', new Blob([Buffer.from(EXAMPLE_PICTURE, 'base64')]), 'one.bmp');
    expect((await fetch(`${service.url}/v1/compare`, { method: 'POST', body: form })).status).toBe(422);
  });
});

describe('POST /v1/rank', () => {
  it('orders by score, shares ranks, and excludes failures', async () => {
    const answer = await service.client.rank(['bb', 'dddd', 'a', 'bad', 'cc'].map(named));
    expect(answer.ranking.map(({ rank, input }) => [rank, input])).toEqual([
      [1, 'dddd'],
      [2, 'bb'],
      [2, 'cc'],
      [4, 'a'],
    ]);
    expect(answer.ranking.map(({ above_next }) => above_next)).toEqual([
      expect.any(Number),
      expect.closeTo(0.5, 9),
      expect.any(Number),
      null,
    ]);
    expect(answer.ranking[0]?.above_next).toBeGreaterThan(0.5);
    expect(answer.items.map(({ ok }) => ok)).toEqual([true, true, true, false, true]);
    expect((await failure(service.client.rank(['bad 1', 'bad 2'].map(named)))).code).toBe('MEDIA_CORRUPT');
  });

  it('returns the first response again for an Idempotency-Key', async () => {
    const send = (): Promise<Response> =>
      fetch(`${service.url}/v1/rank`, {
        method: 'POST',
        headers: { 'Content-Type': 'application/json', 'Idempotency-Key': 'r1' },
        body: JSON.stringify({ items: [named('a'), named('b')] }),
      });
    const [first, again] = [await send(), await send()];
    expect(again.headers.get('idempotency-replayed')).toBe('true');
    expect(await again.text()).toBe(await first.text());
  });
});
