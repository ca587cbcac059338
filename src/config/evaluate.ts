import { Type, type Static } from 'typebox';

const closed = { additionalProperties: false } as const;
const word = Type.String({ minLength: 1 });
const NAME = '^[A-Za-z0-9][A-Za-z0-9._-]*$';
const nameOf = (description: string, ...examples: string[]) =>
  Type.String({ pattern: NAME, description, ...(examples.length === 0 ? {} : { examples }) });
const maybe = (description: string) => Type.Union([word, Type.Null()], { default: null, description });
const maybeName = (description: string) =>
  Type.Union([Type.String({ pattern: NAME }), Type.Null()], { default: null, description });
const maybeNumber = (description: string) => Type.Union([Type.Number(), Type.Null()], { default: null, description });

export const EvaluateData = Type.Object(
  {
    name: nameOf('name of the predictions file and of the row in the table', 'koniq'),
    records: Type.String({
      minLength: 1,
      description: 'a JSONL file of records, of "qalign dataset convert"',
      examples: ['data/koniq/test.jsonl'],
    }),
    root: maybe('media paths of the records are relative to this; null: to the file'),
    split: maybe('only the records of this split; null: all'),
    role: Type.Union([Type.Literal('test'), Type.Literal('validation')], {
      default: 'test',
      description: 'validation: for fitting ensemble weights and calibrations only',
    }),
    paper: Type.Union(
      [
        Type.Object(
          {
            srcc: Type.Number({ description: 'the published SRCC' }),
            plcc: Type.Number({ description: 'the published PLCC' }),
            source: Type.String({ minLength: 1, description: 'where they were read' }),
          },
          closed,
        ),
        word,
        Type.Null(),
      ],
      {
        default: null,
        description:
          'published figures to compare with, or the hub id of a checkpoint of the paper whose figures are known',
        examples: ['q-future/one-align'],
      },
    ),
  },
  closed,
);

const Ensemble = Type.Object(
  {
    with: Type.Array(
      Type.Object(
        {
          name: nameOf('name of the other scorer', 'fast-vqa'),
          csv: Type.String({ minLength: 1, description: 'its scores, a CSV file', examples: ['scores/fast-vqa.csv'] }),
          id_column: Type.String({ default: 'id', description: 'the column of the ids of the records' }),
          score_column: Type.String({ default: 'score', description: 'the column of the scores' }),
          weight: maybeNumber('weight of its standardised score; null with all others null: fitted'),
        },
        closed,
      ),
      { minItems: 1, description: 'the other scorers' },
    ),
    weight: maybeNumber('weight of the model itself; null with all others null: fitted'),
    fit_on: maybeName('the validation entry of data that weights are fitted on'),
  },
  closed,
);

const Calibration = Type.Object(
  {
    method: Type.Union([Type.Literal('logistic'), Type.Literal('isotonic')], {
      default: 'logistic',
      description: "logistic: VQEG's four-parameter function; isotonic: the best rising steps",
    }),
    fit_on: nameOf('the validation entry of data that it is fitted on'),
  },
  closed,
);

/** An evaluation of a checkpoint on data sets. It contains everything that changes a result. */
export const EvaluateRecipe = Type.Object(
  {
    name: nameOf('name of the evaluation; its folder is evaluations/NAME', 'koniq'),
    model: Type.String({
      minLength: 1,
      description: 'a name of configs/models, a directory or a hub id',
      examples: ['one-align'],
    }),
    base: maybe('the base model, where the model is a LoRA; null: the one that its description names'),
    revision: maybe('commit, tag or branch of a hub model'),
    prompt: maybe("a name of configs/prompts or a YAML file; null: the model's own"),
    device: Type.String({
      default: 'auto',
      description: 'auto (the first GPU, else the CPU), cpu, cuda:N, or several (0,1): one worker each',
    }),
    precision: Type.Union([Type.Literal('auto'), Type.Literal('fp32'), Type.Literal('bf16'), Type.Literal('fp16')], {
      default: 'auto',
      description: 'auto: fp32 on a CPU, bf16 on CUDA',
    }),
    offline: Type.Boolean({ default: false, description: 'never ask the hub' }),
    max_batch_frames: Type.Integer({
      minimum: 1,
      default: 1,
      description:
        'more is quicker on a GPU, but who shares a batch depends on the moment and moves scores by rounding: with 1 a resumed evaluation equals an uninterrupted one to the last bit',
    }),
    data: Type.Array(EvaluateData, { minItems: 1, description: 'the record sets' }),
    rule: Type.Union([Type.Literal('levels'), Type.Literal('two_words')], {
      default: 'levels',
      description: "two_words: Q-Bench's softmax over good and poor",
    }),
    allow_failures: Type.Integer({
      minimum: 0,
      default: 0,
      description: 'so many items of a data set may fail; n is what is left',
    }),
    bootstrap: Type.Object(
      {
        replicates: Type.Integer({ minimum: 100, default: 1000, description: 'resamples of an interval' }),
        seed: Type.Integer({ minimum: 0, default: 0, description: 'seed of the resamples' }),
      },
      { ...closed, default: {}, description: 'how the 95 % intervals are made' },
    ),
    ensemble: Type.Union([Type.Null(), Ensemble], {
      default: null,
      description: 'a weighted sum with the scores of other scorers',
    }),
    calibration: Type.Union([Type.Null(), Calibration], {
      default: null,
      description: 'to the MOS scale, fitted on a validation entry of data',
    }),
  },
  closed,
);
export type EvaluateRecipe = Static<typeof EvaluateRecipe>;
export type EvaluateData = Static<typeof EvaluateData>;
