import { copyFile, mkdir, mkdtemp, readFile, realpath, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { QalignError } from '../../../src/base/errors.js';
import { packageRoot } from '../../../src/base/package-root.js';
import { parseConfig } from '../../../src/config/load.js';
import { ServeConfig } from '../../../src/config/serve.js';
import { createDecodeBudget } from '../../../src/media/budget/decode-budget.js';
import { createPreparer, type Preparer } from '../../../src/media/preparer.js';
import { evaluate, type EvaluateOptions } from '../../../src/recipes/evaluate/evaluate.js';
import { createScorerFrom } from '../../../src/recipes/score/score.js';
import type { ScoringPreparer } from '../../../src/recipes/score/scorer.js';
import { train, type TrainOptions } from '../../../src/recipes/train/train.js';
import { createRunMethods, type RunMethodParts } from '../../../src/server/runs/methods.js';
import type { ServiceRun } from '../../../src/server/runs/store.js';
import { makeRecords } from '../../recipes/evaluate/records.js';
import { fakeParts } from '../../recipes/score/fake-scorer.js';

type Recipes = NonNullable<RunMethodParts['recipes']>;

let place: string;
let preparer: Preparer;
let number = 0;
let root: string;
const decodeBudget = createDecodeBudget(2 ** 31, { refuses: true });
beforeAll(async () => {
  place = await realpath(await mkdtemp(join(tmpdir(), 'qalign-methods-')));
  preparer = createPreparer();
});
afterAll(async () => {
  await preparer.close();
  await rm(place, { recursive: true, force: true });
});
/** A root with records and their pictures, and beside it a copy of all outside. */
beforeEach(async () => {
  root = join(place, String(number++), 'root');
  for (const folder of ['set', 'model'].flatMap((name) => [join(root, name), join(root, '../outside', name)])) {
    await mkdir(folder, { recursive: true });
    if (folder.endsWith('set')) await makeRecords(folder, 4, (record) => ({ ...record, split: 'test' }));
    else
      for (const name of ['config.json', 'model.safetensors'])
        await copyFile(join(packageRoot, 'configs/models/nano', name), join(folder, name));
  }
});

/** What a writer below the root does between the check and the opening. */
async function swap(name: string): Promise<void> {
  await rename(join(root, name), join(root, `${name}-aside`));
  await symlink(join(root, '../outside', name), join(root, name));
}

const methodsWith = (recipes: Partial<Recipes>, overrides: readonly string[] = []) => {
  const runs = join(root, '../runs');
  const config = parseConfig(ServeConfig, '', 'the test', [
    `root=${root}`,
    `data_dir=${join(root, '../data')}`,
    `runs_dir=${runs}`,
    ...overrides,
  ]) as ServeConfig;
  const unused = (): never => {
    throw new Error('not asked for');
  };
  return createRunMethods({
    config,
    places: { root, own: [config.data_dir, runs], runs },
    store: { get: () => undefined },
    decodeBudget,
    recipes: { train: unused, resumeRun: unused, evaluate: unused, ...recipes },
  });
};
const perform = (recipes: Partial<Recipes>, kind: 'run' | 'eval', recipe: object, overrides?: readonly string[]) =>
  methodsWith(recipes, overrides)[kind]({ recipe, folder: undefined } as unknown as ServiceRun, {
    folder: join(root, '../data/works/x'),
    signal: new AbortController().signal,
    tell: () => {},
    began: () => {},
  });

const evaluation = () => ({
  ...{ name: 'x', model: join(root, 'model'), base: null, ensemble: null, offline: false },
  data: [{ name: 'set', records: join(root, 'set/records.jsonl'), root: null }],
});
const training = () => ({
  ...{ name: 'x', model: join(root, 'model'), base: null, encoder_weights: null, device: 'cpu', trackers: [] },
  ...{ init: 'random', processes: 1, batch_size: 2, micro_batch: 2, learning_rates: { default: 1 }, prompts: [] },
  data: { train: [join(root, 'set/records.jsonl')], dev: [], root: null },
});

const kept: ScoringPreparer = {
  prepare: (source, options) => preparer.prepare(source, options),
  windows: (source, options) => preparer.windows(source, options),
  open: (source, options) => preparer.open(source, options),
  close: async () => {},
};

/** An evaluation whose scorer decodes, and needs no Python. */
const evaluateHere = (input: Parameters<typeof evaluate>[0], options: EvaluateOptions = {}) =>
  evaluate(input, {
    ...options,
    createScorer: (asked) =>
      createScorerFrom({ ...fakeParts({ engineCalls: [], closed: 0 }), createPreparer: () => kept }, asked),
  });

describe('a swap between check and opening', () => {
  it.each([
    ['the records', async () => swap('set')],
    ['the pictures', async () => void (await swapPictures())],
  ])('gives an evaluation no files outside: %s', async (_what, between) => {
    const performed = perform(
      {
        evaluate: async (recipe, options) => {
          await between();
          return evaluateHere(recipe, { ...options, out: join(root, '../out') });
        },
      },
      'eval',
      evaluation(),
    );
    await expect(performed).rejects.toMatchObject({
      message: expect.stringMatching(/outside the served root/) as string,
    });
  });

  it.each([
    ['the records', async () => swap('set')],
    ['the pictures', async () => void (await swapPictures())],
  ])('gives a training no files outside: %s', async (_what, between) => {
    const performed = perform(
      {
        train: async (recipe, options) => {
          await between();
          return train(recipe, { ...options, python: { executable: '/no/python', env: {}, root: '' } });
        },
      },
      'run',
      training(),
    );
    await expect(performed).rejects.toMatchObject({ code: 'PATH_FORBIDDEN' });
  });

  it.runIf(process.platform === 'linux')('leaves the model of the check in the hands of Python', async () => {
    let options: TrainOptions = {};
    let read = '';
    await perform(
      {
        train: async (_recipe, given) => {
          options = given ?? {};
          await writeFile(join(root, '../outside/model/config.json'), 'another');
          await swap('model');
          read = await readFile(join(options.held?.get(join(root, 'model')) ?? '', 'config.json'), 'utf8');
          return { status: 'completed' } as never;
        },
      },
      'run',
      training(),
    );
    expect(JSON.parse(read)).toHaveProperty('visual_config');
  });
});

async function swapPictures(): Promise<void> {
  await rename(join(root, 'set/media'), join(root, 'set/aside'));
  await symlink(join(root, '../outside/set/media'), join(root, 'set/media'));
}

it('a model folder whose files are links out of the root is refused', async () => {
  await rm(join(root, 'model/config.json'));
  await symlink(join(root, '../outside/model/config.json'), join(root, 'model/config.json'));
  for (const kind of ['run', 'eval'] as const) {
    const performed = perform({}, kind, kind === 'run' ? training() : evaluation());
    await expect(performed).rejects.toThrow(QalignError);
    await expect(performed).rejects.toMatchObject({ code: 'PATH_FORBIDDEN' });
  }
});

it('limits, memory and offline of the service reach trainings and evaluations', async () => {
  const asked: Record<string, unknown>[] = [];
  const overrides = ['offline=true', 'limits.frame_pixels=1000', 'limits.ffmpeg_mb=700', 'limits.pixels=2000'];
  await perform(
    { train: async (_recipe, options) => void asked.push({ ...options }) as never },
    'run',
    training(),
    overrides,
  ).catch(() => {}); // the double gives no result
  await perform(
    { evaluate: async ({ offline }, options) => void asked.push({ ...options, offline }) as never },
    'eval',
    evaluation(),
    overrides,
  );
  const limits = {
    maxFramePixels: 1000,
    maxToolMemory: 700 * 1024 ** 2,
    maxPixels: 2000,
    within: { top: root, own: [join(root, '../data'), join(root, '../runs')] },
  };
  expect(asked).toHaveLength(2);
  for (const options of asked) expect(options).toMatchObject({ offline: true, limits });
  expect(asked[0]!['decodeBudget']).toBe(decodeBudget);
});
