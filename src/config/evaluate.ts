import { Type, type Static } from 'typebox';

const closed = { additionalProperties: false } as const;
const word = Type.String({ minLength: 1 });
/** Becomes a file name. */
const name = Type.String({ pattern: '^[A-Za-z0-9][A-Za-z0-9._-]*$' });
const maybe = (schema: ReturnType<typeof Type.String>) => Type.Union([schema, Type.Null()], { default: null });

export const EvaluateData = Type.Object(
  {
    name,
    records: Type.String({ minLength: 1, description: 'a JSONL file of records, of "qalign dataset convert"' }),
    root: Type.Union([word, Type.Null()], {
      default: null,
      description: 'media paths of the records are relative to this; null: to the file',
    }),
    split: Type.Union([word, Type.Null()], { default: null, description: 'only the records of this split; null: all' }),
    role: Type.Union([Type.Literal('test'), Type.Literal('validation')], {
      default: 'test',
      description: 'validation: for fitting ensemble weights and calibrations only',
    }),
    paper: Type.Union(
      [Type.Object({ srcc: Type.Number(), plcc: Type.Number(), source: word }, closed), word, Type.Null()],
      {
        default: null,
        description:
          'published figures to compare with, or the hub id of a checkpoint of the paper whose figures are known',
      },
    ),
  },
  closed,
);

/** One run of evaluation: a checkpoint against data sets. Everything that changes a number stands here. */
export const EvaluateRecipe = Type.Object(
  {
    name,
    model: word,
    base: maybe(word),
    revision: maybe(word),
    prompt: maybe(word),
    device: Type.String({ default: 'auto' }),
    precision: Type.Union([Type.Literal('auto'), Type.Literal('fp32'), Type.Literal('bf16'), Type.Literal('fp16')], {
      default: 'auto',
    }),
    offline: Type.Boolean({ default: false }),
    max_batch_frames: Type.Integer({
      minimum: 1,
      default: 1,
      description:
        'more is quicker on a GPU, but who shares a batch depends on the moment and moves scores by rounding: with 1 a resumed evaluation equals an uninterrupted one to the last bit',
    }),
    data: Type.Array(EvaluateData, { minItems: 1 }),
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
      { replicates: Type.Integer({ minimum: 100, default: 1000 }), seed: Type.Integer({ minimum: 0, default: 0 }) },
      { ...closed, default: {} },
    ),
    ensemble: Type.Union(
      [
        Type.Null(),
        Type.Object(
          {
            with: Type.Array(
              Type.Object(
                {
                  name,
                  csv: word,
                  id_column: Type.String({ default: 'id' }),
                  score_column: Type.String({ default: 'score' }),
                  weight: Type.Union([Type.Number(), Type.Null()], { default: null }),
                },
                closed,
              ),
              { minItems: 1 },
            ),
            weight: Type.Union([Type.Number(), Type.Null()], {
              default: null,
              description: 'of the model itself; null with all others null: fitted',
            }),
            fit_on: Type.Union([name, Type.Null()], {
              default: null,
              description: 'the validation entry of data that weights are fitted on',
            }),
          },
          closed,
        ),
      ],
      { default: null },
    ),
    calibration: Type.Union(
      [
        Type.Null(),
        Type.Object(
          {
            method: Type.Union([Type.Literal('logistic'), Type.Literal('isotonic')], { default: 'logistic' }),
            fit_on: name,
          },
          closed,
        ),
      ],
      { default: null, description: 'to the MOS scale, fitted on a validation entry of data' },
    ),
  },
  closed,
);
export type EvaluateRecipe = Static<typeof EvaluateRecipe>;
export type EvaluateData = Static<typeof EvaluateData>;
