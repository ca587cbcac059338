import { describe, expect, it } from 'vitest';
import { mulberry32 } from '../../../src/base/random.js';
import { checkConfig } from '../../../src/config/load.js';
import { TrainRecipe } from '../../../src/config/train.js';
import { BASIC_FAMILIES, strengthAt } from '../../../src/media/distort/families.js';
import {
  addedFrames,
  copiesOf,
  copyInputs,
  planRated,
  planSeries,
  seriesSettings,
  STEPS,
} from '../../../src/recipes/train/copy-plans.js';

const recipeOf = (distortions: object | null, data: object = {}): TrainRecipe =>
  checkConfig(
    TrainRecipe,
    { name: 'x', model: 'm', data: { train: ['r.jsonl'], distortions, ...data }, seed: 3 },
    'test',
  ) as TrainRecipe;
const settingsOf = (distortions: object) => seriesSettings(recipeOf(distortions))!;

describe('planSeries', () => {
  it('plans by default the series of the first qalign-nano', () => {
    const seed = 3 * 1_000_003 + 5;
    const draw = mulberry32(seed);
    const expected = BASIC_FAMILIES.map((family, number) => ({
      family,
      own: false,
      distortions: Array.from({ length: STEPS }, (_, step) => ({
        family,
        strength: strengthAt(family, (step + draw()) / STEPS),
        seed: seed * 8 + number,
        among: BASIC_FAMILIES,
      })),
    }));
    expect(JSON.parse(JSON.stringify(planSeries(settingsOf({ pictures: 9 }), seed)))).toEqual(expected);
  });

  it('draws families for each picture, and shapes and screens for each series', () => {
    const settings = settingsOf({
      families: ['jpeg', 'upscale', 'warp', 'mixture'],
      per_picture: 2,
      shapes: true,
      screens: 0.5,
    });
    const plans = Array.from({ length: 60 }, (_, seed) => planSeries(settings, seed)).flat();
    expect(plans.length).toBe(120);
    expect(new Set(plans.map(({ family }) => family)).size).toBe(4);
    const screens = plans.filter(({ screen }) => screen !== undefined).length;
    expect(screens).toBeGreaterThan(40);
    expect(screens).toBeLessThan(80);
    expect(new Set(plans.map(({ shape }) => shape?.seed)).size).toBe(120);
    expect(plans.every(({ own }) => own)).toBe(true);
    for (const { distortions } of plans) {
      expect(new Set(distortions.map(({ seed }) => seed)).size).toBe(1);
      expect(distortions.every(({ among }) => among.length === 4)).toBe(true);
    }
  });
});

describe('added frames', () => {
  it('are counted, with the undistorted copies of shapes and screens', () => {
    expect(addedFrames(100, recipeOf(null))).toBe(0);
    expect(addedFrames(100, recipeOf({ pictures: 7 }))).toBe(7 * 8 * 4);
    expect(addedFrames(5, recipeOf({ pictures: 7, per_picture: 3, screens: 0.1 }, { rated_shapes: 2 }))).toBe(
      5 * 3 * 5 + 10,
    );
    expect(planRated(2, 1).map(({ shape }) => shape?.seed)).toHaveLength(2);
    expect(addedFrames(25, recipeOf(null, { rated_shapes: 0.1 }))).toBe(3);
  });

  it('are copies of evenly spread pictures if there are fewer copies than pictures', () => {
    const counts = Array.from({ length: 1000 }, (_, place) => copiesOf(place, 0.1));
    expect(counts.filter((count) => count === 1)).toHaveLength(100);
    expect(Math.max(...counts)).toBe(1);
    expect(counts.slice(0, 500).reduce((sum, count) => sum + count, 0)).toBe(50);
    expect([0, 1, 2, 3].map((place) => copiesOf(place, 1.5))).toEqual([1, 2, 1, 2]);
    expect([copiesOf(7, 2), copiesOf(7, 0)]).toEqual([2, 0]);
  });

  it('have the same inputs for every seed of the recipe if they have their own seed', () => {
    const inputs = (seed: number, data: object) =>
      copyInputs({ ...recipeOf({ pictures: 7 }, { rated_shapes: 1, ...data }), seed });
    expect(inputs(1, { added_seed: 5 })).toEqual(inputs(2, { added_seed: 5 }));
    expect(inputs(1, { added_seed: 5 })).toEqual(inputs(5, {}));
    expect(inputs(1, {})).not.toEqual(inputs(2, {}));
  });

  it('have the inputs of earlier versions if the recipe uses no newer key', () => {
    expect(copyInputs(recipeOf(null))).toEqual({ series: [null, 0], rated: [] });
    expect(copyInputs(recipeOf({ pictures: 7 }))).toEqual({ series: [{ pictures: 7 }, 3], rated: [] });
    const stored = recipeOf({ pictures: 7 });
    const old = { ...stored, data: { ...stored.data, distortions: { pictures: 7 }, rated_shapes: undefined } };
    expect(copyInputs(old as unknown as TrainRecipe)).toEqual(copyInputs(stored));
    expect(copyInputs(recipeOf({ pictures: 7, screens: 0.1 })).series).not.toEqual(copyInputs(stored).series);
    expect(copyInputs(recipeOf(null, { rated_shapes: 1 })).rated).toHaveLength(1);
  });
});
