import { spawnSync } from 'node:child_process';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { TrainEvent } from '../../../bridge/protocol/train.js';
import { packageRoot } from '../../../src/base/package-root.js';
import type { TrainRecipeInput } from '../../../src/config/recipe-input.generated.js';
import { ensurePython } from '../../../src/engine/python/environment.js';
import { createScorer } from '../../../src/recipes/score/create-scorer.js';
import { planRecipe, train } from '../../../src/recipes/train/train.js';

/** A tiny random Qwen3.5, which the Python tests write. */
const WRITE = 'import sys, pathlib, tiny; tiny.write(pathlib.Path(sys.argv[1]), "qwen3_5")';
const LEVELS = ['excellent', 'good', 'fair', 'poor', 'bad'];
const SIZES = [
  [90, 60],
  [80, 100],
  [70, 70],
] as const;

const python = await ensurePython();
const hasTransformers = spawnSync(python.executable, ['-c', 'import transformers, PIL']).status === 0;
if (!hasTransformers)
  console.warn(`NOT RUN: training a model of transformers needs ${python.executable} -m pip install transformers`);

let folder: string;
let recipe: TrainRecipeInput;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'qalign-chat-train-'));
  if (!hasTransformers) return;
  const path = [join(packageRoot, 'python'), join(packageRoot, 'test/python/transformers_backend')].join(':');
  const made = spawnSync(python.executable, ['-c', WRITE, join(folder, 'tiny')], {
    env: { ...process.env, PYTHONPATH: path },
    encoding: 'utf8',
  });
  expect(made.status, made.stderr).toBe(0);
  const rows: object[] = [];
  for (let k = 0; k < 8; k += 1) {
    const [width, height] = SIZES[k % 3]!;
    await sharp({ create: { width, height, channels: 3, background: { r: 20 * k, g: 90, b: 200 - 10 * k } } })
      .png()
      .toFile(join(folder, `${k}.png`));
    rows.push({
      id: `p${k}`,
      media: `${k}.png`,
      dataset: 'toy',
      question: 'How is it?\n<|image|>',
      answer: `The quality of the image is ${LEVELS[k % 5]}.`,
      level: LEVELS[k % 5],
      mos: 5 - (k % 5),
    });
  }
  await writeFile(join(folder, 'train.jsonl'), rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
  recipe = {
    name: 'chat-toy',
    model: `hf:${join(folder, 'tiny')}`,
    device: 'cpu',
    epochs: 2,
    batch_size: 4,
    micro_batch: 4,
    prompts: ['chat'],
    learning_rates: { default: 1e-3, merger: 1e-4 },
    soft_label_sigma: 0.5,
    objective: { next_token: 1, soft_label: 1, fidelity: 1 },
    data: { train: [join(folder, 'train.jsonl')], dev: [join(folder, 'train.jsonl')] },
  };
}, 300_000);
afterAll(() => rm(folder, { recursive: true, force: true }));

describe.skipIf(!hasTransformers)('train with a model of transformers', () => {
  it('plans with the sizes of its weights, and says what is not known', async () => {
    const { plan, time, diskBytes } = await planRecipe(recipe);
    expect(plan?.parameters.language).toBeGreaterThan(1000);
    expect(plan?.activationBytes).toBeNull();
    expect([time?.steps, time?.seconds, diskBytes]).toEqual([4, null, undefined]);
  });

  it('prepares pictures in their shapes, lowers the loss and exports a model that scores', async () => {
    const events: TrainEvent[] = [];
    const runs = join(folder, 'runs');
    const done = await train(recipe, { runs, python, onEvent: (event) => void events.push(event) });
    expect([done.status, done.step]).toEqual(['completed', 4]);
    const losses = events.flatMap((event) => (event.event === 'step' ? [event.loss ?? NaN] : []));
    expect(losses.at(-1)).toBeLessThan(losses[0]!);
    const stored = JSON.parse(await readFile(join(done.folder, 'recipe.json'), 'utf8')) as { data_path: string };
    expect(stored).toMatchObject({ backend: 'transformers', preparation: { kind: 'smart', multiple: 32 } });
    const rows = (await readFile(join(stored.data_path, 'train.jsonl'), 'utf8')).trimEnd().split('\n');
    const placed = rows.map((row) => JSON.parse(row) as { offset: number; height: number; width: number });
    expect(placed[0]).toMatchObject({
      prompt: '<|image|>How would you rate the quality of this image?',
      stem: 'The quality of the image is',
      answer: 'excellent.',
      offset: 0,
    });
    const last = placed.at(-1)!;
    const bytes = last.offset + 3 * last.height * last.width;
    expect((await stat(join(stored.data_path, 'train.pixels'))).size).toBe(bytes);
    expect(new Set(placed.map(({ height, width }) => `${width}x${height}`)).size).toBe(3);
    const scorer = await createScorer({ model: join(done.folder, 'model'), device: 'cpu' });
    const [result] = await scorer.score(join(folder, '0.png'));
    await scorer.close();
    expect(result).toMatchObject({ model: { family: 'qwen3_5' }, prompt: { name: 'chat' } });
    expect(scorer.choice.taught).toBeUndefined();
  }, 600_000);

  it('refuses prompts and keys of the first backend', async () => {
    const runs = join(folder, 'runs');
    await expect(train({ ...recipe, prompts: ['default'] }, { runs, python })).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
    });
    await expect(train({ ...recipe, dropout: 0.1 }, { runs, python })).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.stringContaining('without dropout') as string,
    });
  });
});
