import Type, { type Static } from 'typebox';
import { KINDS, TASKS } from '../prompts/subject.js';
import { closed } from './error.js';

const text = Type.String();
export const DatasetRow = Type.Object(
  {
    name: text,
    aliases: Type.Array(text),
    title: text,
    version: text,
    kind: Type.Enum([...KINDS]),
    task: Type.Enum([...TASKS]),
    licence: text,
    citation: text,
    sources: Type.Array(Type.Object({ name: text, about: Type.Optional(text), files: Type.Array(text) }, closed)),
  },
  closed,
);
export const DatasetList = Type.Object({ datasets: Type.Array(DatasetRow) }, closed);
/** All data sets that are described. */
export interface DatasetList extends Static<typeof DatasetList> {}

const path = (description: string) =>
  Type.String({ minLength: 1, maxLength: 4096, description: `${description}, below the root` });
const column = Type.Optional(Type.String({ minLength: 1, maxLength: 256 }));
const range = Type.Tuple([Type.Number(), Type.Number()]);
export const ConvertBody = Type.Object(
  {
    dataset: Type.Optional(
      Type.String({
        pattern: '^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$',
        description: 'a name of GET /v1/datasets; labels has its label files',
      }),
    ),
    labels: Type.Optional(path('folder of the label files, or one of them')),
    table: Type.Optional(
      path(
        'your own table (CSV, TSV, JSON, JSONL, XLSX, Parquet), or a folder with sub-folders named after the levels',
      ),
    ),
    own: Type.Optional(
      Type.Object(
        {
          name: Type.Optional(Type.String({ pattern: '^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$' })),
          kind: Type.Optional(Type.Enum([...KINDS])),
          task: Type.Optional(Type.Enum([...TASKS])),
          image_column: column,
          score_column: column,
          std_column: column,
          split_column: column,
          group_column: column,
          scale: Type.Optional(range),
          lower_is_better: Type.Optional(Type.Boolean()),
        },
        closed,
      ),
    ),
    media: Type.Optional(path('the pictures or clips: every row must have its file there')),
    missing: Type.Optional(Type.Enum(['error', 'skip'])),
    preset: Type.Optional(Type.Enum(['official', 'paper'])),
    range: Type.Optional(Type.Union([Type.Literal('trimmed'), Type.Literal('minmax'), range])),
    soft_labels: Type.Optional(Type.Enum(['auto', 'exact', 'published', 'none'])),
    format: Type.Optional(Type.Enum(['jsonl', 'llava'])),
    seed: Type.Optional(Type.Integer({ minimum: 0 })),
    out: path('folder or .jsonl file that is written; what is there is replaced'),
  },
  { ...closed, description: 'dataset with labels, or table' },
);
/** A described data set with its labels, or a table of your own. */
export interface ConvertBody extends Static<typeof ConvertBody> {}

const figure = Type.Union([Type.Number(), Type.Null()]);
export const ConvertAnswer = Type.Object(
  {
    dataset: text,
    title: text,
    source: text,
    licence: text,
    kind: text,
    task: text,
    n_all: Type.Integer(),
    n: Type.Integer(),
    srcc: figure,
    plcc: figure,
    soft_labels: text,
    splits: Type.Record(Type.String(), Type.Object({}, { additionalProperties: true })),
    outputs: Type.Array(Type.Object({ path: text, records: Type.Integer() }, closed)),
  },
  closed,
);
/** What was converted: counts, level correlations and the files written. */
export interface ConvertAnswer extends Static<typeof ConvertAnswer> {}
