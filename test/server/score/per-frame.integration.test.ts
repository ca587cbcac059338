import { afterAll, beforeAll, expect, it } from 'vitest';
import { asyncBufferFromUrl, parquetReadObjects } from 'hyparquet';
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
];
const curveOf = (result: unknown) => (result as ScoreResult | undefined)?.frame_curve;

it('answers with curves of clips, for JSON, a form, and a file with its settings in the query', async () => {
  const { items: scored } = await service.client.score(items, { per_frame: true });
  expect(curveOf(scored[0]?.results[0])).toBeUndefined();
  expect(curveOf(scored[1]?.results[0])).toMatchObject({ kind: 'frame', times_s: [0, 1, 2] });
  const bytes = Buffer.from(EXAMPLE_CLIP, 'base64');
  const form = await service.client.score([bytes], { per_frame_window: 2, tasks: ['quality', 'aesthetics'] });
  expect(form.items[0]?.results.map((result) => curveOf(result)?.window)).toEqual([2, 2]);
  const file = await service.client.scoreFile(bytes, { per_frame: true });
  expect(curveOf(file.results[0])?.scores).toHaveLength(3);
  expect(curveOf((await service.client.scoreFile(bytes)).results[0])).toBeUndefined();
  await expect(service.client.score(items, { per_frame_window: 1 })).rejects.toMatchObject({ code: 'BODY_INVALID' });
});

it('refuses a prompt without the question of the frames, also for a job', async () => {
  const settings = { per_frame_window: 2, prompt: 'benchmark-iaa', tasks: ['aesthetics' as const] };
  await expect(service.client.score(items, settings)).rejects.toMatchObject({ code: 'TASK_UNSUPPORTED' });
  await expect(service.client.jobs.create(items, settings)).rejects.toMatchObject({ code: 'TASK_UNSUPPORTED' });
});

it('a job has curves in every format of its results', async () => {
  const { id } = await service.client.jobs.create(items, { per_frame: true });
  await service.client.jobs.wait(id);
  const results: unknown[] = [];
  for await (const result of service.client.jobs.results(id)) results.push(result);
  expect(results.map((result) => curveOf(result)?.scores.length)).toEqual([undefined, 3]);
  const [header, , clip] = (await service.client.jobs.csv(id)).split('\n').map((line) => line.split(','));
  expect(clip?.[header?.indexOf('frames_mean') ?? -1]).toBe(String(curveOf(results[1])?.mean));
  const url = `${service.url}/v1/jobs/${id}/results?format=parquet`;
  const rows = await parquetReadObjects({ file: await asyncBufferFromUrl({ url }) });
  expect(rows[1]?.['frames_scores']).toEqual(curveOf(results[1])?.scores);
  const plain = await service.client.jobs.create(items);
  await service.client.jobs.wait(plain.id);
  expect(await service.client.jobs.csv(plain.id)).not.toContain('frames_mean');
});
