import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { TrainEvent } from '../../../bridge/protocol/train.js';
import { checkConfig, loadConfig } from '../../../src/config/load.js';
import { listDatasetSpecs } from '../../../src/config/datasets.js';
import { loadPrompt } from '../../../src/config/prompts.js';
import type { TrainRecipeInput } from '../../../src/config/recipe-input.generated.js';
import { TrainRecipe } from '../../../src/config/train.js';
import { listRecipes } from '../../../src/config/recipes.js';
import { packageRoot } from '../../../src/base/package-root.js';
import { createPreparer } from '../../../src/media/preparer.js';
import { prepareData } from '../../../src/recipes/train/prepare.js';
import { readRecords, sampleFraction } from '../../../src/recipes/train/records.js';
import { gaussianLevels } from '../../../src/recipes/train/record-writer.js';
import { planRecipe, resumeRun, train, type TrainResult } from '../../../src/recipes/train/train.js';
import { openRunStore } from '../../../src/runs/run-store.js';

const LEVELS = ['excellent', 'good', 'fair', 'poor', 'bad'];
let folder: string;
let recipe: TrainRecipeInput;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'qalign-train-'));
  const rows: object[] = [];
  for (let k = 0; k < 12; k += 1) {
    const [file, level] = [join(folder, `${k}.png`), LEVELS[k % 5]];
    if (k === 3) await writeFile(file, 'no picture at all');
    else
      await sharp({ create: { width: 70, height: 50, channels: 3, background: { r: 20 * k, g: 90, b: 200 - 10 * k } } })
        .png()
        .toFile(file);
    rows.push({
      id: `p${k}`,
      media: `${k}.png`,
      dataset: 'toy',
      question: 'How is it?\n<|image|>',
      answer: `The quality of the image is ${level}.`,
      level,
      mos: 5 - (k % 5),
      mos_std: 0.4,
    });
  }
  await writeFile(join(folder, 'train.jsonl'), rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
  await writeFile(
    join(folder, 'dev.jsonl'),
    rows
      .slice(4)
      .map((row) => `${JSON.stringify(row)}\n`)
      .join(''),
  );
  recipe = {
    name: 'toy',
    model: 'test/fixtures/golden/tiny_a/model',
    device: 'cpu',
    epochs: 3,
    batch_size: 4,
    micro_batch: 4,
    learning_rates: { default: 1e-3 },
    soft_label_sigma: 0.5,
    objective: { next_token: 1, soft_label: 1, fidelity: 1 },
    data: { train: [join(folder, 'train.jsonl')], dev: [join(folder, 'dev.jsonl')] },
  };
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe('prepareData', () => {
  it('uses the prompts of scoring, scales ratings for soft labels, and makes series that share the frame of their best picture', async () => {
    const values: TrainRecipeInput = {
      ...recipe,
      prompts: ['default', 'benchmark'],
      data: { ...recipe.data, mos_range: [0, 10], distortions: { pictures: 2 } },
    };
    const checked = checkConfig(TrainRecipe, values, 'the recipe') as TrainRecipe;
    const splits = {
      train: { records: await readRecords(checked.data.train, null), size: 56 },
      dev: { records: await readRecords(checked.data.dev, null), size: 56 },
    };
    const prompts = await Promise.all(checked.prompts.map((name) => loadPrompt(name)));
    const media = createPreparer();
    const prepared = await prepareData({
      cache: join(folder, 'prepared'),
      recipe: checked,
      splits,
      media,
      prompts,
    });
    await media.close();
    const read = async (split: string): Promise<Record<string, unknown>[]> =>
      (await readFile(join(prepared.folder, `${split}.jsonl`), 'utf8'))
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line) as Record<string, unknown>);
    const rows = await read('train');
    expect(rows[0]).toMatchObject({
      prompt: 'USER: How would you rate the quality of this image?\n<|image|>\nASSISTANT: The quality of the image is',
      answer: 'excellent.',
      level: 'excellent',
    });
    expect(rows[1]?.['prompt']).toContain('<|image|> ASSISTANT:');
    const probs = rows[0]?.['level_probs'] as number[];
    expect(probs[2]).toBeCloseTo(Math.max(...probs), 9); // a MOS of 5 on 0–10 is fair
    const series = rows.filter((row) => row['series'] !== undefined);
    expect(series.length).toBe(2 * 8 * 5);
    for (const row of series) expect([row['mos'], row['level_probs']]).toEqual([undefined, undefined]);
    const best = series.filter((row) => row['order'] === 0);
    expect(new Set(best.map((row) => row['first_frame']))).toEqual(
      new Set([
        rows.find((row) => row['id'] === 'p0')?.['first_frame'],
        rows.find((row) => row['id'] === 'p5')?.['first_frame'],
      ]),
    );
    const frames = (await stat(join(prepared.folder, 'train.pixels'))).size / (56 * 56 * 3);
    expect(frames).toBe(11 + 2 * 8 * 4);
    expect((await read('dev')).every((row) => String(row['prompt']).includes('\nASSISTANT'))).toBe(true);
  });

  it('trains on such series, whose level words are not supervised', async () => {
    const values = {
      ...recipe,
      prompts: ['default'],
      epochs: 1,
      objective: { next_token: 1, soft_label: 1, series: 1 },
      data: { ...recipe.data, weights: { distortions: 0.5 }, distortions: { pictures: 1 } },
    };
    const events: TrainEvent[] = [];
    const done = await train(values, {
      runs: join(folder, 'runs-series'),
      onEvent: (event) => void events.push(event),
    });
    expect(done.status).toBe('completed');
    const terms = events.flatMap((event) => (event.event === 'step' ? [event.terms] : []));
    expect(Math.max(...terms.map(({ series }) => series ?? 0))).toBeGreaterThan(0);
    expect(Math.max(...terms.map(({ fidelity }) => fidelity ?? 0))).toBe(0);
  }, 300_000);
});

describe('train', () => {
  it('trains a model from records, skips and lists the damaged picture, and can be stopped and resumed', async () => {
    const stopper = new AbortController();
    const events: TrainEvent[] = [];
    const onEvent = (event: TrainEvent): void => {
      events.push(event);
      if (event.event === 'step') stopper.abort();
    };
    const stopped = await train(recipe, { runs: join(folder, 'runs'), signal: stopper.signal, onEvent });
    expect(stopped.status).toBe('stopped');
    expect(stopped.skipped).toBe(1);
    expect(await readFile(join(stopped.folder, 'skipped.json'), 'utf8')).toContain('"p3"');
    expect(events.map((event) => event.event)).toContain('checkpoint');
    // the prepared pictures were deleted, and two processes resume at once: one of them trains
    await rm(join(folder, 'runs/.prepared'), { recursive: true });
    const both = await Promise.allSettled([resumeRun(stopped.folder), resumeRun(stopped.folder)]);
    expect(
      both.map((one) => (one.status === 'rejected' ? (one.reason as { code: string }).code : one.status)).sort(),
    ).toEqual(['RUN_ACTIVE', 'fulfilled']);
    const done = both.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []))[0] as TrainResult;
    expect(done).toMatchObject({ status: 'completed', step: done.totalSteps });
    expect(await readdir(join(done.folder, 'model'))).toEqual(
      expect.arrayContaining(['config.json', 'model.safetensors', 'tokenizer.model']),
    );
    const file = await readFile(join(done.folder, 'events.jsonl'), 'utf8');
    expect(file.trimEnd().split('\n').length).toBeGreaterThan(events.length);
    expect((await openRunStore(join(folder, 'runs')).rebuild()).map((run) => [run.id, run.status])).toEqual([
      ['toy', 'completed'],
    ]);
    expect(existsSync(join(done.folder, 'pid'))).toBe(false);
  }, 300_000);

  it('reports the error of Python when a run fails', async () => {
    const run = train(
      { ...recipe, name: 'wild', clip: 1e9, warmup: 0, learning_rates: { default: 1e30 } },
      { runs: join(folder, 'runs') },
    );
    await expect(run).rejects.toMatchObject({ code: 'TRAINING_DIVERGED' });
  }, 300_000);

  it('requires numbers in the answers if scores are written as text', async () => {
    await expect(
      train({ ...recipe, score_text: true, objective: { next_token: 1 } }, { runs: join(folder, 'runs') }),
    ).rejects.toMatchObject({
      code: 'TRAINING_DATA_INVALID',
      message: expect.stringContaining('--score-text') as string,
    });
  });

  it('plans before it starts: disk space for twelve pictures and eight of dev', async () => {
    const { plan, diskBytes } = await planRecipe(recipe);
    expect(diskBytes).toBe(20 * 56 * 56 * 3);
    expect(plan?.fits).toBe(true);
    const series = await planRecipe({
      ...recipe,
      data: { ...recipe.data, distortions: { pictures: 2 } },
    });
    expect(series.diskBytes).toBe((20 + 2 * 8 * 4) * 56 * 56 * 3);
  });
});

describe('recipes in configs/train', () => {
  it('are valid, named like their files and begin with a header of four parts', async () => {
    const files = (await readdir(join(packageRoot, 'configs/train'))).filter(
      (file) => file.endsWith('.yaml') && !/nano|ablation/.test(file),
    );
    expect(files.length).toBeGreaterThanOrEqual(18);
    for (const file of files) {
      const path = join(packageRoot, 'configs/train', file);
      expect((await loadConfig(TrainRecipe, path)).name).toBe(file.replace('.yaml', ''));
      const header = (await readFile(path, 'utf8')).split('\n').filter((row) => /^# [A-Z]\w+: /.test(row));
      expect(header.map((row) => row.split(':')[0])).toEqual(['# What', '# Needs', '# Command', '# Expected']);
    }
  });
});

describe('what recipes in configs/train need', () => {
  it('is created by the commands in their headers, including the split file', async () => {
    const files = (await readdir(join(packageRoot, 'configs/train'))).filter(
      (file) => file.endsWith('.yaml') && !/nano|ablation/.test(file),
    );
    const specs = await listDatasetSpecs();
    const headers = await listRecipes('train');
    for (const file of files) {
      const path = join(packageRoot, 'configs/train', file);
      const needs = headers.find(({ name }) => `${name}.yaml` === file)?.prepare ?? [];
      const { data } = await loadConfig(TrainRecipe, path);
      for (const records of [...data.train, ...data.dev]) {
        const [, folder, split] = /^(.+)\/(.+)\.jsonl$/.exec(records) ?? [];
        const convert =
          needs.find((line) => line.includes('dataset convert ') && line.includes(` --out ${folder}`)) ?? '';
        const name = /convert (\S+)/.exec(convert)?.[1] ?? '';
        const spec = specs.find((each) => each.name === name || each.aliases?.includes(name) === true);
        const own = JSON.stringify(spec?.sources[0]) ?? ''; // the distributor's
        const inSource =
          own.includes(`"split":"${split}"`) ||
          own.includes(`:"${split}"`) ||
          own.includes(`"split_groups":{"${split}"`);
        const byList = split === 'train' && (own.includes('split_lists') || convert.includes('--split-list test='));
        const parted = needs.some(
          (line) => line.startsWith(`qalign dataset split ${folder}/all.jsonl `) && line.includes(`${split}=`),
        );
        expect(inSource || byList || parted, `${file}: ${records}`).toBe(true);
      }
    }
  });
});

describe('pure parts', () => {
  it('samples a seeded fraction in file order', () => {
    const rows = Array.from({ length: 100 }, (_, k) => k);
    const some = sampleFraction(rows, 0.2, 1);
    expect(some).toHaveLength(20);
    expect(some).toEqual([...some].sort((a, b) => a - b));
    expect(some).toEqual(sampleFraction(rows, 0.2, 1));
    expect(some).not.toEqual(sampleFraction(rows, 0.2, 2));
  });
  it('makes soft labels that sum to one, also far from every level', () => {
    for (const [mos, sigma] of [
      [3.3, 0.5],
      [1, 0.1],
      [2.5, 0.001],
    ] as const) {
      expect(gaussianLevels(mos, sigma).reduce((a, b) => a + b, 0)).toBeCloseTo(1, 12);
    }
  });
});
