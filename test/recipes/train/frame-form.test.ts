import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { View } from '../../../bridge/protocol/views.js';
import { packageRoot } from '../../../src/base/package-root.js';
import { checkConfig } from '../../../src/config/load.js';
import { TrainRecipe, type FittedRecipe } from '../../../src/config/train.js';
import { modelForm, requireViews, trainForm } from '../../../src/recipes/train/frame-form.js';
import type { Machine } from '../../../src/recipes/train/machine.js';
import { estimateMemory, type ModelShape } from '../../../src/recipes/train/memory-estimate.js';
import { preparedBytes, addedBytes } from '../../../src/recipes/train/prepare.js';
import type { TrainRecord } from '../../../src/recipes/train/records.js';
import { estimateTime } from '../../../src/recipes/train/time-estimate.js';

const nano = JSON.parse(readFileSync(join(packageRoot, 'configs/models/nano-1/config.json'), 'utf8')) as ModelShape;
const shapeOf = (views?: readonly View[] | null): ModelShape => ({
  ...nano,
  visual_config: {
    ...nano.visual_config,
    visual_model: { ...nano.visual_config.visual_model, image_size: 256, ...(views === undefined ? {} : { views }) },
  },
});
const [one, two] = [shapeOf(), shapeOf(['whole', 'native'])];
const recipeOf = (data: object = {}): FittedRecipe =>
  checkConfig(
    TrainRecipe,
    {
      name: 'x',
      model: 'm',
      data: { train: ['t.jsonl'], ...data },
      learning_rates: { default: 1e-3 },
      device: 'cpu',
      keep_unsharded: 'nothing',
    },
    'test',
  ) as FittedRecipe;
const RECORD: TrainRecord = { id: 'a', media: 'a.png', kind: 'image', question: '', answer: '', dataset: 'd' };

describe('the prepared frames of a training', () => {
  it('have the views of the model, and name them only if they are several', () => {
    for (const shape of [one, shapeOf(null), shapeOf(['whole'])]) expect(modelForm(shape)).toEqual({ size: 256 });
    expect(modelForm(two)).toEqual({ size: 256, views: ['whole', 'native'] });
  });

  it('can have another size only with one view', () => {
    expect(trainForm(recipeOf({ prepare_size: 300 }), one)).toEqual({ size: 300 });
    expect(trainForm(recipeOf({ prepare_size: 256 }), two)).toEqual(modelForm(two));
    expect(trainForm(recipeOf(), two)).toEqual(modelForm(two));
    expect(() => trainForm(recipeOf({ prepare_size: 300 }), two)).toThrow(
      expect.objectContaining({ code: 'CONFIG_INVALID' }),
    );
  });

  it('take disk space for each view', async () => {
    const recipe = recipeOf({ distortions: { pictures: 1 } });
    const [whole, both] = [one, two].map((shape) => ({ records: [RECORD], ...modelForm(shape) }));
    expect(await preparedBytes(whole!, 1)).toBe(256 * 256 * 3);
    expect(await preparedBytes(both!, 1)).toBe(2 * 256 * 256 * 3);
    expect(addedBytes(both!, recipe)).toBe(2 * addedBytes(whole!, recipe));
  });
});

describe('the estimates of a training', () => {
  it('count the views', () => {
    const [memory, more] = [one, two].map((shape) => estimateMemory(shape, recipeOf()).activationBytes);
    expect(more!).toBeGreaterThan(memory! * 1.2);
    const machine = { cores: 2 } as Machine;
    const [time, longer] = [one, two].map((shape) => estimateTime(shape, recipeOf(), [RECORD], machine).flopsPerItem);
    expect(longer!).toBeGreaterThan(time! * 1.5);
    expect(longer!).toBeLessThan(time! * 2);
  });
});

describe('the views of a config.json', () => {
  it('are known names, the whole picture first, each once', () => {
    for (const shape of [one, two, shapeOf(null), {}]) expect(() => requireViews(shape, 'f')).not.toThrow();
    const wrong = [[], ['native'], ['native', 'whole'], ['whole', 'whole'], ['whole', 'thumbnail'], 'whole', 2];
    for (const views of wrong) {
      expect(() => requireViews(shapeOf(views as View[]), 'model/config.json')).toThrow(
        expect.objectContaining({
          code: 'MODEL_INVALID',
          message: expect.stringContaining('model/config.json') as string,
        }),
      );
    }
  });
});
