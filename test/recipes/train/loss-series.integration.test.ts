import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { TrainEvent } from '../../../bridge/protocol/train.js';
import { checkConfig } from '../../../src/config/load.js';
import { TrainRecipe } from '../../../src/config/train.js';
import { packageRoot } from '../../../src/base/package-root.js';
import { seriesCells, seriesRow, trainSeries } from '../../../src/recipes/train/loss-series.js';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'qalign-series-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const started: TrainEvent = {
  event: 'started',
  time: 100,
  step: 0,
  total_steps: 30,
  steps_per_epoch: 10,
  processes: 1,
  device: 'cpu',
  parameters: 1,
  trainable: 1,
  items: 40,
  skipped: 0,
};
const evaluated = (step: number, srcc: number | null): TrainEvent => ({
  event: 'evaluation',
  time: 100 + step,
  step,
  srcc,
  plcc: 0.5,
  items: 7,
  score_std: 1,
  level_mass: 1,
});

describe('seriesRow', () => {
  it('computes means over runs, their spread, and the first epoch near the best one', () => {
    const runs = [
      [started, evaluated(10, 0.695), evaluated(20, 0.7), evaluated(30, 0.69)],
      [started, evaluated(10, 0.1), evaluated(20, 0.6), evaluated(30, 0.71)],
    ];
    const row = seriesRow('levels', runs);
    expect(row).toMatchObject({
      recipe: 'levels',
      runs: 2,
      items: 7,
      plcc: 0.5,
      plccSd: 0,
      epochsToConverge: 2,
      epochs: 3,
      seconds: 30,
    });
    expect(row.srcc).toBeCloseTo(0.7, 12);
    expect(row.srccSd).toBeCloseTo(Math.SQRT2 / 100, 12);
    expect(seriesCells({ rows: [row], runs: [] })[1]).toEqual([
      'levels',
      '2',
      '7',
      '0.700 ± 0.014',
      '0.500 ± 0.000',
      '2.0',
      '3',
      '30',
    ]);
  });

  it('omits values that a run did not report', () => {
    expect(seriesRow('mute', [[started, evaluated(10, null)]])).toMatchObject({
      srcc: null,
      srccSd: null,
      epochsToConverge: null,
      epochs: 1,
    });
    expect(seriesRow('none', [[]])).toMatchObject({ items: null, srcc: null, epochs: null, seconds: null });
  });
});

describe('trainSeries', () => {
  it('trains each recipe with each seed, resumes where it was stopped, and trains nothing twice', async () => {
    const rows = ['pristine.jpg', 'crushed.jpg', 'noisy.webp', 'blurred.jpg'].map((name, k) => {
      const level = ['excellent', 'bad', 'fair', 'poor'][k]!;
      return JSON.stringify({
        id: name,
        media: join(packageRoot, 'test/fixtures/pictures', name),
        dataset: 'toy',
        question: 'How is it?\n<|image|>',
        answer: `The quality of the image is ${level}.`,
        level,
        mos: [4.8, 1.1, 3, 2][k],
      });
    });
    await writeFile(join(folder, 'toy.jsonl'), `${rows.join('\n')}\n`);
    const recipe = (name: string): TrainRecipe =>
      checkConfig(
        TrainRecipe,
        {
          name,
          model: 'tiny-untrained',
          device: 'cpu',
          epochs: 2,
          batch_size: 4,
          micro_batch: 4,
          learning_rates: { default: 1e-3 },
          data: { train: [join(folder, 'toy.jsonl')], dev: [join(folder, 'toy.jsonl')] },
        },
        'the recipe',
      ) as TrainRecipe;
    const runs = join(folder, 'runs');
    const stopper = new AbortController();
    const begun: string[] = [];
    const cut = await trainSeries([recipe('a')], {
      seeds: [1, 2],
      runs,
      signal: stopper.signal,
      onStart: ({ name }) => void begun.push(name),
      onEvent: (event) => (event.event === 'step' && begun.length === 2 ? stopper.abort() : undefined),
    });
    expect(begun).toEqual(['a-seed1', 'a-seed2']);
    expect(cut.rows).toMatchObject([{ recipe: 'a', runs: 1 }]);
    let steps = 0;
    const whole = await trainSeries([recipe('a')], {
      seeds: [1, 2],
      runs,
      onEvent: (event) => void (steps += Number(event.event === 'step')),
    });
    expect(steps).toBe(1); // the second step of the second seed
    expect(whole.rows).toMatchObject([{ recipe: 'a', runs: 2, items: 4, epochs: 2 }]);
    expect(whole.runs.map(({ status }) => status)).toEqual(['completed', 'completed']);
    expect((await readdir(runs)).filter((name) => name.startsWith('a'))).toEqual(['a-seed1', 'a-seed2']);
    expect((await trainSeries([recipe('a')], { seeds: [2], runs })).runs[0]?.folder).toBe(whole.runs[1]?.folder);
  }, 300_000);
});
