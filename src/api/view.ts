import Type, { type Static } from 'typebox';
import { SCALES } from '../scoring/levels.js';
import { closed } from './error.js';

/** Answers of "qalign view" to its page. A stored row can lack any field, as with --fields. */
const orNull = <S extends ReturnType<typeof Type.String> | ReturnType<typeof Type.Number>>(schema: S) =>
  Type.Union([schema, Type.Null()]);
const text = (description: string) => orNull(Type.String({ description }));
const number = (description: string) => orNull(Type.Number({ description }));

export const ViewRow = Type.Object(
  {
    n: Type.Integer({ minimum: 1, description: 'number of the row in the file' }),
    input: Type.String({ description: 'path, URL or name of the input' }),
    task: text('task that was scored'),
    score: number('score on scale'),
    scale: Type.Union([Type.Enum([...SCALES]), Type.Null()], { description: 'scale of score' }),
    level: text('the most probable level'),
    level_probs: Type.Union([Type.Array(Type.Number(), { minItems: 5, maxItems: 5 }), Type.Null()], {
      description: 'probabilities of the levels, best level first',
    }),
    level_mass: number('probability of the level words'),
    entropy: number('entropy of the levels in nats'),
    warnings: Type.Array(Type.String(), { description: 'warnings of the row' }),
    error: Type.Union([Type.Null(), Type.Object({ code: Type.String(), message: Type.String() }, closed)], {
      description: 'why the input has no score',
    }),
    model: text('model of the row'),
    score_version: text('hash of everything that determines the score'),
  },
  closed,
);
/** A stored row of a results file, as far as its fields exist. */
export interface ViewRow extends Static<typeof ViewRow> {}

export const VIEW_SHOWN = ['all', 'scored', 'doubtful', 'failed'] as const;
export const VIEW_SORTS = ['order', 'name', 'score', 'entropy', 'level_mass'] as const;

export const ViewSummary = Type.Object(
  {
    name: Type.String({ description: 'name of the file' }),
    rows: Type.Integer({ minimum: 0, description: 'number of rows' }),
    scored: Type.Integer({ minimum: 0, description: 'rows with a score' }),
    failed: Type.Integer({ minimum: 0, description: 'rows with an error' }),
    doubtful: Type.Integer({ minimum: 0, description: 'rows with a reason to doubt the score' }),
    mean: number('mean of the scores'),
    models: Type.Array(Type.String(), { description: 'models of the rows' }),
    histogram: Type.Union(
      [
        Type.Null(),
        Type.Object(
          {
            from: Type.Number({ description: 'lowest score' }),
            to: Type.Number({ description: 'highest score' }),
            counts: Type.Array(Type.Integer({ minimum: 0 }), { description: 'scores in bins of equal width' }),
          },
          closed,
        ),
      ],
      { description: 'distribution of the scores; null: the rows have several scales, or no scores' },
    ),
    scale: Type.Union([Type.Enum([...SCALES]), Type.Null()], { description: 'scale of all scores; null: several' }),
    cut: Type.Boolean({ description: 'true: the last line of the file is not complete and was left out' }),
  },
  closed,
);
/** Figures of a results file. */
export interface ViewSummary extends Static<typeof ViewSummary> {}

export const ViewRowsQuery = Type.Object(
  {
    offset: Type.Optional(Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER })),
    limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 500 })),
    sort: Type.Optional(Type.Enum([...VIEW_SORTS])),
    down: Type.Optional(Type.Boolean()),
    show: Type.Optional(Type.Enum([...VIEW_SHOWN])),
    text: Type.Optional(Type.String({ maxLength: 1000, description: 'part of the name' })),
  },
  closed,
);
/** A part of the rows, in an order and under a filter. */
export interface ViewRowsQuery extends Static<typeof ViewRowsQuery> {}

export const ViewRows = Type.Object(
  {
    total: Type.Integer({ minimum: 0, description: 'rows under the filter' }),
    rows: Type.Array(ViewRow),
  },
  closed,
);
export interface ViewRows extends Static<typeof ViewRows> {}

export const ViewItem = Type.Object(
  {
    row: ViewRow,
    fields: Type.Object({}, { additionalProperties: true, description: 'every field of the row, as in the file' }),
  },
  closed,
);
/** A row with all its fields. */
export interface ViewItem extends Static<typeof ViewItem> {}
