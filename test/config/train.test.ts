import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { RunRecipe } from '../../bridge/protocol/recipe.js';
import { problemWithMessage } from '../../bridge/validate.js';
import { loadConfig } from '../../src/config/load.js';
import { TrainRecipe } from '../../src/config/train.js';
import { packageRoot } from '../../src/base/package-root.js';

/** The keys that a run adds to the user's recipe. */
const RESOLVED = { compute: 'fp32', model_path: '/m', base_path: null, data_path: '/d', skipped: 0 };
const folder = join(packageRoot, 'configs/train');

describe('the recipe of the user and the one that Python reads', () => {
  it.each(readdirSync(folder))('%s, resolved, is what Python reads', async (name) => {
    const recipe = await loadConfig(TrainRecipe, join(folder, name));
    const fitted = { keep_unsharded: recipe.keep_unsharded ?? 'nothing' }; // as the plan chooses for one process
    expect(problemWithMessage('run_recipe', { ...recipe, ...RESOLVED, ...fitted })).toBeUndefined();
  });

  it('have the same keys, except those that are resolved', () => {
    const ofBackend = ['backend', 'chat']; // from the choice of the model
    const known = [...Object.keys(TrainRecipe.properties), ...Object.keys(RESOLVED), ...ofBackend];
    expect(Object.keys(RunRecipe.properties).filter((key) => !known.includes(key))).toEqual([]);
  });

  it('have the same types: the user can omit only keys with a default', () => {
    const lacking = Object.entries(TrainRecipe.properties).filter(([, type]) => !Object.hasOwn(type, 'default'));
    expect(lacking.map(([key]) => key)).toEqual(['name', 'model', 'data']);
  });
});

describe('the problems of a recipe', () => {
  const load = (...overrides: string[]): Promise<unknown> =>
    loadConfig(TrainRecipe, join(folder, readdirSync(folder)[0]!), overrides);

  it('name the allowed values of a key, and the override that set it', async () => {
    await expect(load('compute=int8')).rejects.toThrow(
      /\.yaml with compute=int8 has one problem:\n {2}compute: must be one of fp32, bf16, null, not "int8"/,
    );
    await expect(load('max_steps=0')).rejects.toThrow(/max_steps: must be one of an integer .*, null, not 0/);
  });

  it('name the key inside an object that can also be null', async () => {
    await expect(load('lora={rank: x}')).rejects.toThrow(/lora\.rank: unknown key/);
  });
});
