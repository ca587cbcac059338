import { describe, expect, it } from 'vitest';
import { EvaluateRecipe } from '../../src/config/evaluate.js';
import { checkConfig, type DeepReadonly } from '../../src/config/load.js';
import type { EvaluateRecipeInput, TrainRecipeInput } from '../../src/config/recipe-input.generated.js';
import { describeKeys } from '../../src/config/recipe-keys.js';
import { ServeConfig } from '../../src/config/serve.js';
import { TrainRecipe } from '../../src/config/train.js';

// what the compiler must accept and refuse; `npm run types` checks this file
const smallest: TrainRecipeInput = { name: 'mine', model: 'nano', data: { train: ['data/own/train.jsonl'] } };
const resolved = (recipe: DeepReadonly<TrainRecipe>): TrainRecipeInput => recipe;
const evaluation: EvaluateRecipeInput = {
  name: 'mine',
  model: 'nano',
  data: [{ name: 'own', records: 'data/own/test.jsonl', paper: { srcc: 0.9, plcc: 0.9, source: 'me' } }],
  ensemble: { with: [{ name: 'other', csv: 'other.csv' }], fit_on: 'own' },
};
export const wrong: readonly (TrainRecipeInput | EvaluateRecipeInput)[] = [
  // @ts-expect-error -- a misspelt key
  { ...smallest, epoch: 3 } satisfies TrainRecipeInput,
  // @ts-expect-error -- a value of another kind
  { ...smallest, epochs: '3' } satisfies TrainRecipeInput,
  // @ts-expect-error -- a word that is none of the schedule's
  { ...smallest, schedule: 'linear' } satisfies TrainRecipeInput,
  // @ts-expect-error -- a key of an inner object
  { ...smallest, lora: { rank: 8 } } satisfies TrainRecipeInput,
  // @ts-expect-error -- a required key is missing
  { name: 'mine', model: 'nano', data: {} } satisfies TrainRecipeInput,
  // @ts-expect-error -- a misspelt role
  { ...evaluation, data: [{ name: 'own', records: 'r.jsonl', role: 'train' }] } satisfies EvaluateRecipeInput,
];

describe('the types of recipes', () => {
  it('accept what the schema accepts: the smallest recipe, a resolved one, undefined keys', () => {
    const recipe = checkConfig(TrainRecipe, smallest, 'the recipe');
    expect(recipe.learning_rates).toEqual({ default: 2e-5 });
    expect(checkConfig(TrainRecipe, resolved(recipe), 'the recipe')).toEqual(recipe);
    expect(checkConfig(TrainRecipe, { ...smallest, epochs: undefined, lora: undefined }, 'the recipe')).toEqual(recipe);
    expect(checkConfig(EvaluateRecipe, evaluation, 'the recipe').bootstrap.replicates).toBe(1000);
  });
});

describe.each(Object.entries({ TrainRecipe, EvaluateRecipe, ServeConfig }))('%s', (_name, schema) => {
  it('describes every key', () => {
    const keys = describeKeys(schema);
    expect(keys.length).toBeGreaterThan(20);
    expect(keys.filter(({ meaning }) => meaning.length < 8)).toEqual([]);
  });
});

describe('describeKeys', () => {
  it('returns the type, the default and the keys of nested objects and lists', () => {
    const of = (schema: typeof TrainRecipe | typeof EvaluateRecipe, key: string): unknown =>
      describeKeys(schema).find((one) => one.key === key);
    expect(of(TrainRecipe, 'epochs')).toMatchObject({ type: 'whole number, at least 1', default: 2, required: false });
    expect(of(TrainRecipe, 'data.train')).toMatchObject({ type: 'list of text', required: true });
    expect(of(TrainRecipe, 'lora.quantise_base')).toMatchObject({ type: 'null | int8 | nf4', default: null });
    expect(of(TrainRecipe, 'data.weights')).toMatchObject({ type: 'name: number, above 0, at most 100', default: {} });
    expect(of(EvaluateRecipe, 'data[].records')).toMatchObject({ required: true });
    expect(of(EvaluateRecipe, 'ensemble.with[].id_column')).toMatchObject({ type: 'text', default: 'id' });
  });
});
