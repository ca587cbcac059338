import { asyncBufferFromUrl, parquetReadObjects } from 'hyparquet';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { EXAMPLE_CLIP } from '../../../src/api/examples.js';
import type { ScoreResult } from '../../../src/api/result.js';
import { EXAMPLE_PICTURE } from '../../../src/media/probe-picture.js';
import { startService, withoutPython, type TestService } from '../start-service.js';

let service: TestService;
beforeAll(async () => {
  service = await startService([], withoutPython);
});
afterAll(() => service.close());

const items = [
  { id: 'picture', base64: EXAMPLE_PICTURE },
  { id: 'clip', base64: EXAMPLE_CLIP },
  { id: 'bad', base64: 'AAAA' },
];
const mapOf = (result: unknown) => (result as ScoreResult | undefined)?.map;

it('answers with maps of pictures, for JSON, a form, and a file with its settings in the query', async () => {
  const settings = { map: true, map_max: 6, tasks: ['quality' as const, 'aesthetics' as const] };
  const { items: scored } = await service.client.score(items, settings);
  const maps = scored[0]!.results.map((result) => mapOf(result)!);
  expect(maps).toHaveLength(2);
  for (const { xs, ys, values } of maps) {
    expect(values).toHaveLength(xs.length * ys.length);
    expect(values.length).toBeLessThanOrEqual(6);
  }
  expect(scored.slice(1).flatMap(({ results }) => results.map(mapOf))).toEqual([
    ...[undefined, undefined],
    ...[undefined, undefined],
  ]);
  expect(scored.map(({ ok }) => ok)).toEqual([true, true, false]);
  const bytes = Buffer.from(EXAMPLE_PICTURE, 'base64');
  const form = await service.client.score([bytes], { map: true, map_max: 1 });
  expect(mapOf(form.items[0]?.results[0])?.values).toHaveLength(1);
  const file = await service.client.scoreFile(bytes, { map: true, map_window: 8, map_stride: 8, map_max: 4 });
  expect(mapOf(file.results[0])?.window).toBe(8);
  expect(mapOf((await service.client.scoreFile(bytes)).results[0])).toBeUndefined();
});

it.each([
  ['a setting of maps without map', { map_max: 4 }],
  ['a stride that leaves gaps', { map: true, map_window: 8, map_stride: 9 }],
  ['too many windows', { map: true, map_max: 1025 }],
  ['a window without pixels', { map: true, map_window: 0 }],
])('refuses %s, also for a job', async (_, settings) => {
  await expect(service.client.score(items, settings)).rejects.toMatchObject({ code: 'BODY_INVALID' });
  await expect(service.client.jobs.create(items, settings)).rejects.toMatchObject({ code: 'BODY_INVALID' });
});

it('a job has maps and curves in every format of its results', async () => {
  const { id } = await service.client.jobs.create(items, { map: true, map_max: 6, per_frame: true });
  await service.client.jobs.wait(id);
  const results: unknown[] = [];
  for await (const result of service.client.jobs.results(id)) results.push(result);
  const map = mapOf(results[0])!;
  expect(results.map((result) => mapOf(result) !== undefined)).toEqual([true, false, false]);
  expect((results[1] as ScoreResult).frame_curve?.scores).toHaveLength(3);
  const [header = [], picture] = (await service.client.jobs.csv(id)).split('\n').map((line) => line.split(','));
  expect(picture?.[header.indexOf('map_min')]).toBe(String(Math.min(...map.values)));
  const url = `${service.url}/v1/jobs/${id}/results?format=parquet`;
  const rows = await parquetReadObjects({ file: await asyncBufferFromUrl({ url }) });
  expect(JSON.parse(rows[0]?.['map'] as string)).toEqual(map);
  expect(rows[1]?.['map']).toBeNull();
  const plain = await service.client.jobs.create(items);
  await service.client.jobs.wait(plain.id);
  expect(await service.client.jobs.csv(plain.id)).not.toContain('map_min');
});
