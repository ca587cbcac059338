import Type, { type Static } from 'typebox';
import { KINDS, TASKS } from '../prompts/subject.js';
import { closed } from './error.js';

const text = (description: string) => Type.String({ description });
const kind = Type.Enum([...KINDS], { description: 'what is rated' });
const task = Type.Enum([...TASKS], { description: 'what was asked about' });
export const DatasetRow = Type.Object(
  {
    name: text('name of the dataset, for convert'),
    aliases: Type.Array(Type.String(), { description: 'other names of it' }),
    title: text('name as its authors write it'),
    version: text('year, size and scale'),
    kind,
    task,
    licence: text('licence of labels and media'),
    citation: text('publication'),
    sources: Type.Array(
      Type.Object(
        {
          name: text('name of the source'),
          about: Type.Optional(text('remark about the source')),
          files: Type.Array(Type.String(), { description: 'label files that must all be there' }),
        },
        closed,
      ),
      { description: 'ways to get the labels, the best first' },
    ),
  },
  closed,
);
export const DatasetList = Type.Object(
  { datasets: Type.Array(DatasetRow, { description: 'in alphabetical order' }) },
  closed,
);
/** All data sets that are described. */
export interface DatasetList extends Static<typeof DatasetList> {}

const path = (description: string) =>
  Type.String({ minLength: 1, maxLength: 4096, description: `${description}, below the root` });
const column = (description: string) => Type.Optional(Type.String({ minLength: 1, maxLength: 256, description }));
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
          name: Type.Optional(
            Type.String({ pattern: '^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$', description: 'name of the dataset' }),
          ),
          kind: Type.Optional(Type.Enum([...KINDS], { description: 'what is rated (default: by the first name)' })),
          task: Type.Optional(Type.Enum([...TASKS], { description: 'what was asked about (default: quality)' })),
          image_column: column('column of the file names'),
          score_column: column('column of the ratings'),
          std_column: column('column of the standard deviations'),
          split_column: column('column of the splits'),
          group_column: column('column of the reference pictures'),
          scale: Type.Optional(
            Type.Tuple([Type.Number(), Type.Number()], { description: 'lowest and highest rating that is possible' }),
          ),
          lower_is_better: Type.Optional(Type.Boolean({ description: 'a lower rating is a better picture' })),
        },
        { ...closed, description: 'what the columns of table mean' },
      ),
    ),
    media: Type.Optional(path('the pictures or clips: every row must have its file there')),
    missing: Type.Optional(
      Type.Enum(['error', 'skip'], { description: 'a row without its file: an error (default), or it is left out' }),
    ),
    preset: Type.Optional(
      Type.Enum(['official', 'paper'], {
        description:
          'rule of the levels. official: as in the files of the authors (default of a named dataset); paper: Eq. 1 of the paper (default of a table)',
      }),
    ),
    range: Type.Optional(
      Type.Union([Type.Literal('trimmed'), Type.Literal('minmax'), range], {
        description: 'range of the levels, in place of that of the preset',
      }),
    ),
    soft_labels: Type.Optional(
      Type.Enum(['auto', 'exact', 'published', 'none'], {
        description: 'rule of the soft labels (default auto: as published for the dataset)',
      }),
    ),
    format: Type.Optional(
      Type.Enum(['jsonl', 'llava'], { description: 'jsonl: records of qalign (default); llava: the published format' }),
    ),
    seed: Type.Optional(Type.Integer({ minimum: 0, description: 'seed for choosing the paraphrases (default: 0)' })),
    out: path('folder or .jsonl file that is written; what is there is replaced'),
  },
  { ...closed, description: 'dataset with labels, or table' },
);
/** A described data set with its labels, or a table of your own. */
export interface ConvertBody extends Static<typeof ConvertBody> {}

const figure = (description: string) => Type.Union([Type.Number(), Type.Null()], { description });
export const ConvertAnswer = Type.Object(
  {
    dataset: text('name of the dataset'),
    title: text('name as its authors write it'),
    source: text('name of the source that was read'),
    licence: text('licence of labels and media'),
    kind: text('what is rated: image or video'),
    task: text('what was asked about: quality or aesthetics'),
    n_all: Type.Integer({ description: 'ratings that were read' }),
    n: Type.Integer({ description: 'records that were written' }),
    srcc: figure('Spearman correlation of the levels with the ratings; null: it does not exist'),
    plcc: figure('Pearson correlation of the levels with the ratings; null: it does not exist'),
    soft_labels: text('rule of the soft labels that was used'),
    splits: Type.Record(Type.String(), Type.Object({}, { additionalProperties: true }), {
      description: 'split → its counts, range and correlations',
    }),
    outputs: Type.Array(
      Type.Object(
        { path: text('path below the root'), records: Type.Integer({ description: 'records in the file' }) },
        closed,
      ),
      { description: 'files that were written' },
    ),
  },
  closed,
);
/** What was converted: counts, level correlations and the files written. */
export interface ConvertAnswer extends Static<typeof ConvertAnswer> {}
