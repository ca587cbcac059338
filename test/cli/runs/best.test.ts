import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { cli } from '../terminal/terminal-double.js';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'qalign-best-'));
  vi.stubEnv('QALIGN_RUNS', folder);
  const run = join(folder, 'toy');
  await mkdir(join(run, 'model'), { recursive: true });
  await writeFile(join(run, 'recipe.json'), JSON.stringify({ name: 'toy', keep_best: 'srcc' }));
  await writeFile(join(run, 'environment.json'), '{}');
  await writeFile(join(run, 'model', 'weights'), 'last');
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await rm(folder, { recursive: true });
});

const addBest = async (): Promise<void> => {
  const events = [2, 4].map((step) => ({
    event: 'best',
    time: 1,
    step,
    metric: 'srcc',
    value: step / 10,
    path: `checkpoints/step-${step}`,
  }));
  await writeFile(join(folder, 'toy', 'events.jsonl'), events.map((event) => `${JSON.stringify(event)}\n`).join(''));
  await mkdir(join(folder, 'toy', 'best', 'model'), { recursive: true });
  await writeFile(join(folder, 'toy', 'best', 'model', 'weights'), 'best');
};

it('runs show names the last best evaluation, if there is one', async () => {
  const shown = async (): Promise<unknown> => JSON.parse((await cli('runs', 'show', 'toy')).out);
  expect(await shown()).not.toHaveProperty('best');
  await addBest();
  expect(await shown()).toMatchObject({
    best: { step: 4, metric: 'srcc', value: 0.4, checkpoint: 'checkpoints/step-4' },
  });
});

it('runs export --best copies the weights of the best evaluation', async () => {
  await addBest();
  const target = join(folder, 'copied');
  expect((await cli('runs', 'export', 'toy', target, '--best')).code).toBe(0);
  expect(await readFile(join(target, 'weights'), 'utf8')).toBe('best');
});

it('runs export --best says that a run kept none', async () => {
  const answer = await cli('runs', 'export', 'toy', join(folder, 'copied'), '--best');
  expect([answer.code, answer.said.join()]).toEqual([1, expect.stringContaining('set keep_best')]);
});
