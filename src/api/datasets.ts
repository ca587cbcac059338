import Type, { type Static } from 'typebox';
import { KINDS, TASKS } from '../prompts/subject.js';
import { closed } from './error.js';

const text = (description: string) => Type.String({ description });
const kind = Type.Enum([...KINDS], { description: 'kind of the rated files' });
const task = Type.Enum([...TASKS], { description: 'question of the study: quality or aesthetics' });
export const DatasetRow = Type.Object(
  {
    name: text('name of the dataset, as in dataset of a conversion'),
    aliases: Type.Array(Type.String(), { description: 'other names of the dataset' }),
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
          files: Type.Array(Type.String(), { description: 'required label files' }),
        },
        closed,
      ),
      { description: 'alternative sources of the labels, the best first' },
    ),
  },
  closed,
);
export const DatasetList = Type.Object(
  { datasets: Type.Array(DatasetRow, { description: 'in alphabetical order' }) },
  closed,
);
/** All data sets that have a description. */
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
        description: 'dataset: a name of GET /v1/datasets. Set labels to its label files',
      }),
    ),
    labels: Type.Optional(path('folder of the label files, or a label file')),
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
          kind: Type.Optional(
            Type.Enum([...KINDS], { description: 'kind of the rated files (default: from the first file name)' }),
          ),
          task: Type.Optional(Type.Enum([...TASKS], { description: 'question of the study (default: quality)' })),
          image_column: column('column of the file names'),
          score_column: column('column of the ratings'),
          std_column: column('column of the standard deviations'),
          split_column: column('column of the splits'),
          group_column: column('column of the reference pictures'),
          scale: Type.Optional(
            Type.Tuple([Type.Number(), Type.Number()], { description: 'lowest and highest possible rating' }),
          ),
          lower_is_better: Type.Optional(Type.Boolean({ description: 'true: a lower rating means a better picture' })),
        },
        { ...closed, description: 'meaning of the columns of table' },
      ),
    ),
    media: Type.Optional(path('folder of the pictures or clips, in which every row must have its file')),
    missing: Type.Optional(
      Type.Enum(['error', 'skip'], {
        description:
          'treatment of a row without its file. error: the conversion fails (default); skip: the row is left out',
      }),
    ),
    preset: Type.Optional(
      Type.Enum(['official', 'paper'], {
        description:
          "rule of the levels. official: as in the authors' files (default for a named dataset); paper: Eq. 1 of the paper (default for a table)",
      }),
    ),
    range: Type.Optional(
      Type.Union([Type.Literal('trimmed'), Type.Literal('minmax'), range], {
        description: 'range of the levels (default: the range of the preset)',
      }),
    ),
    soft_labels: Type.Optional(
      Type.Enum(['auto', 'exact', 'published', 'none'], {
        description: 'rule of the soft labels (default auto: as published for the dataset)',
      }),
    ),
    format: Type.Optional(
      Type.Enum(['jsonl', 'llava'], {
        description:
          'output format. jsonl: records of qalign (default); llava: the format of the published training code',
      }),
    ),
    seed: Type.Optional(Type.Integer({ minimum: 0, description: 'seed for choosing the paraphrases (default: 0)' })),
    out: path('output folder or .jsonl file; existing files are replaced'),
  },
  { ...closed, description: 'either dataset with labels, or table' },
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
    kind: text('kind of the rated files: image or video'),
    task: text('question of the study: quality or aesthetics'),
    n_all: Type.Integer({ description: 'number of ratings that were read' }),
    n: Type.Integer({ description: 'number of records that were written' }),
    srcc: figure('Spearman correlation of the levels with the ratings; null: undefined'),
    plcc: figure('Pearson correlation of the levels with the ratings; null: undefined'),
    soft_labels: text('rule of the soft labels that was used'),
    splits: Type.Record(Type.String(), Type.Object({}, { additionalProperties: true }), {
      description: 'split → counts, range and correlations',
    }),
    outputs: Type.Array(
      Type.Object(
        { path: text('path below the root'), records: Type.Integer({ description: 'number of records in the file' }) },
        closed,
      ),
      { description: 'files that were written' },
    ),
  },
  closed,
);
/** What was converted: counts, level correlations and the files written. */
export interface ConvertAnswer extends Static<typeof ConvertAnswer> {}
