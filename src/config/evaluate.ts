import { PRECISIONS } from '../../bridge/protocol/models.js';
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
      description: 'JSONL file of records, made by "qalign dataset convert"',
      examples: ['data/koniq/test.jsonl'],
    }),
    root: maybe('folder that media paths of the records are relative to; null: the folder of the file'),
    split: maybe('split whose records are used; null: all records'),
    role: Type.Union([Type.Literal('test'), Type.Literal('validation')], {
      default: 'test',
      description:
        'use of the entry. test: figures are reported; validation: only for fitting ensemble weights and calibrations',
    }),
    paper: Type.Union(
      [
        Type.Object(
          {
            srcc: Type.Number({ description: 'published SRCC' }),
            plcc: Type.Number({ description: 'published PLCC' }),
            source: Type.String({ minLength: 1, description: 'publication of the figures' }),
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
          csv: Type.String({ minLength: 1, description: 'CSV file of its scores', examples: ['scores/fast-vqa.csv'] }),
          id_column: Type.String({ default: 'id', description: 'column of the ids of the records' }),
          score_column: Type.String({ default: 'score', description: 'column of the scores' }),
          weight: maybeNumber('weight of its standardised score; null for all: the weights are fitted'),
        },
        closed,
      ),
      { minItems: 1, description: 'the other scorers' },
    ),
    weight: maybeNumber('weight of the model itself; null for all: the weights are fitted'),
    fit_on: maybeName('validation entry of data that the weights are fitted on'),
  },
  closed,
);

const Calibration = Type.Object(
  {
    method: Type.Union([Type.Literal('logistic'), Type.Literal('isotonic')], {
      default: 'logistic',
      description: "form of the curve. logistic: VQEG's four-parameter function; isotonic: isotonic regression",
    }),
    fit_on: nameOf('validation entry of data that the curve is fitted on'),
  },
  closed,
);

/** An evaluation of a checkpoint on data sets. It contains everything that changes a result. */
export const EvaluateRecipe = Type.Object(
  {
    name: nameOf('name of the evaluation; its folder is evaluations/NAME', 'koniq'),
    model: Type.String({
      minLength: 1,
      description: 'name of configs/models, directory or hub id',
      examples: ['one-align'],
    }),
    base: maybe('base model of a LoRA adapter; null: the base model in its description'),
    revision: maybe('commit, tag or branch of a hub model; null: the revision in its description'),
    prompt: maybe("name of configs/prompts or a YAML file; null: the model's own"),
    device: Type.String({
      default: 'auto',
      description:
        'auto (every GPU, or the CPU without a GPU), cpu, cuda:N, or a list of GPUs (0,1). Each device gets one worker',
    }),
    precision: Type.Union(
      PRECISIONS.map((name) => Type.Literal(name)),
      {
        default: 'auto',
        description:
          'auto: bf16 on CUDA for models of a billion parameters or more, else fp32. Smaller and less exact: fp8, int8, nf4',
      },
    ),
    offline: Type.Boolean({ default: false, description: 'do not access the hub' }),
    max_batch_frames: Type.Integer({
      minimum: 1,
      default: 1,
      description:
        'maximum number of pictures or frames in a batch. Larger batches are faster on a GPU, but change scores by rounding. With 1, a resumed evaluation has exactly the scores of an uninterrupted one',
    }),
    data: Type.Array(EvaluateData, { minItems: 1, description: 'sets of records to evaluate on' }),
    rule: Type.Union([Type.Literal('levels'), Type.Literal('two_words')], {
      default: 'levels',
      description: "scoring rule. levels: the five level words; two_words: Q-Bench's softmax over good and poor",
    }),
    allow_failures: Type.Integer({
      minimum: 0,
      default: 0,
      description: 'maximum number of items of an entry that can fail; failed items are not in the metrics',
    }),
    bootstrap: Type.Object(
      {
        replicates: Type.Integer({
          minimum: 100,
          default: 1000,
          description: 'number of bootstrap samples for each interval',
        }),
        seed: Type.Integer({ minimum: 0, default: 0, description: 'seed of the bootstrap' }),
      },
      { ...closed, default: {}, description: 'bootstrap for the 95 % intervals' },
    ),
    ensemble: Type.Union([Type.Null(), Ensemble], {
      default: null,
      description: 'weighted sum of the scores and the scores of other scorers; null: no ensemble',
    }),
    calibration: Type.Union([Type.Null(), Calibration], {
      default: null,
      description: 'curve from scores to the MOS scale, fitted on a validation entry of data; null: no calibration',
    }),
  },
  closed,
);
export type EvaluateRecipe = Static<typeof EvaluateRecipe>;
export type EvaluateData = Static<typeof EvaluateData>;
