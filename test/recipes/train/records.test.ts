import { describe, expect, it } from 'vitest';
import { checkConfig } from '../../../src/config/load.js';
import { TrainRecipe } from '../../../src/config/train.js';
import { requireUsable, type TrainRecord } from '../../../src/recipes/train/records.js';

const RECORDS = [{ id: 'a', media: '/a.jpg', dataset: 'own', mos: 0.5 }] as unknown as TrainRecord[];
const recipeOf = (data: object): TrainRecipe =>
  checkConfig(TrainRecipe, { name: 'x', model: 'm', data: { train: ['r.jsonl'], ...data } }, 'test') as TrainRecipe;

describe('requireUsable', () => {
  it('refuses to leave out families that the recipe does not have, and names the nearest one', () => {
    const distortions = { pictures: 1, families: ['warp', 'jpeg', 'mixture'] };
    expect(() => requireUsable(RECORDS, recipeOf({ distortions, leave_out: ['warp'] }))).not.toThrow();
    expect(() => requireUsable(RECORDS, recipeOf({ distortions, leave_out: ['webp'] }))).toThrow(
      /data\.leave_out names webp, which is not a family of data\.distortions/,
    );
    expect(() => requireUsable(RECORDS, recipeOf({ leave_out: ['warp'] }))).toThrow(/data\.leave_out names warp/);
  });

  it('refuses weights of datasets that the records do not have', () => {
    expect(() => requireUsable(RECORDS, recipeOf({ weights: { own: 2 } }))).not.toThrow();
    expect(() => requireUsable(RECORDS, recipeOf({ weights: { onw: 2 } }))).toThrow(
      /data\.weights names onw, but the records are of own \(did you mean "own"\?\)/,
    );
  });
});
