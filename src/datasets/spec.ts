import Type, { type Static } from 'typebox';
import { KINDS, TASKS } from '../prompts/subject.js';

const closed = { additionalProperties: false };
const word = Type.String({ minLength: 1 });
const text = (description: string) => Type.String({ minLength: 1, description });
const range = Type.Tuple([Type.Number(), Type.Number()]);
/** A column by its name in the header, or by its index from 0 in a file without a header. */
const column = Type.Union([word, Type.Integer({ minimum: 0 })]);
const columnOf = (description: string) => Type.Union([...column.anyOf], { description });

const DELIMITERS = [',', ';', '\t', ' '] as const;
export type Delimiter = (typeof DELIMITERS)[number];

export const LevelSettings = Type.Object(
  {
    range: Type.Union([Type.Literal('trimmed'), Type.Literal('minmax'), range], {
      description:
        'range of scores that is divided into levels of equal width. `trimmed`: without the lowest and highest 0.1 % of the rows. `minmax`: from the lowest to the highest score. Or two numbers in the units of the score',
    }),
    over: Type.Enum(['all', 'split'], {
      description: 'rows that the range is computed from. all: all rows of a source; split: each split separately',
    }),
    outside: Type.Enum(['drop', 'clip'], {
      description: 'treatment of a score outside the range. drop: the row is left out; clip: it gets the nearest level',
    }),
    edge: Type.Enum(['lower', 'upper'], {
      default: 'lower',
      description:
        'level of a score on the edge between two levels. lower: the better level, whose lower edge it is; upper: the worse level',
    }),
    names: Type.Optional(
      Type.Array(Type.String({ pattern: '^\\S+$' }), {
        minItems: 2,
        maxItems: 20,
        uniqueItems: true,
        description: 'names of the levels, best first (default: the five levels of qalign)',
      }),
    ),
    splits: Type.Optional(
      Type.Record(word, range, { description: 'ranges of single splits; they take precedence over `range`' }),
    ),
  },
  closed,
);

/** The layout of a label file and the meaning of its columns. */
export const LabelFile = Type.Object(
  {
    file: Type.String({ minLength: 1, description: 'name of the file, without a folder' }),
    format: Type.Enum(['table', 'json', 'xlsx', 'mat', 'parquet'], {
      description: 'format of the file; table: CSV, TSV and other text tables',
    }),
    delimiter: Type.Optional(
      Type.Enum([...DELIMITERS], {
        description: 'separator of the columns of a text table; a space stands for any run of blanks (default: ",")',
      }),
    ),
    header: Type.Optional(Type.Boolean({ description: 'the first row names the columns (default: true)' })),
    sheet: Type.Optional(text('sheet of a workbook (default: the first)')),
    skip_rows: Type.Optional(Type.Integer({ minimum: 0, description: 'rows above the header (default: 0)' })),
    columns: Type.Object(
      {
        name: columnOf('file name of the picture or clip'),
        score: Type.Optional(columnOf('rating; required without counts')),
        counts: Type.Optional(
          Type.Array(column, {
            minItems: 1,
            description: 'numbers of votes for 1, 2, 3 …: a column for each, or one column with a list',
          }),
        ),
        std: Type.Optional(columnOf('standard deviation of the ratings')),
        variance: Type.Optional(columnOf('variance of the ratings, instead of std')),
        split: Type.Optional(columnOf('split of the row')),
        group: Type.Optional(columnOf('reference picture of the row')),
      },
      { ...closed, description: 'columns of the file: names in the header, or indices from 0 without a header' },
    ),
    beside: Type.Optional(
      Type.Record(
        word,
        Type.Object(
          {
            file: text('name of the file, without a folder'),
            format: Type.Optional(Type.Enum(['table', 'mat'], { description: 'format of the file (default: table)' })),
            column: columnOf('column of this file without a header, or the name of a MAT array'),
            delimiter: Type.Optional(
              Type.Enum([...DELIMITERS], { description: 'separator of its columns (default: ",")' }),
            ),
          },
          closed,
        ),
        {
          description: 'columns from another file that has the same rows in the same order',
        },
      ),
    ),
    name: Type.Optional(
      Type.Object(
        {
          rewrite: Type.Optional(
            Type.Array(Type.Tuple([word, Type.String()]), {
              description: 'regular expressions with their replacements, applied in order',
            }),
          ),
          add: Type.Optional(Type.String({ description: 'ending to add to every name, such as .mp4' })),
          template: Type.Optional(
            Type.String({ description: 'template of a name made of columns, such as {0}.{2}.png' }),
          ),
          words: Type.Optional(
            Type.Record(word, Type.String(), {
              description: 'words to replace in the columns of the template: old → new',
            }),
          ),
          lower: Type.Optional(
            Type.Boolean({
              description: 'write names in lower case, because files differ only in case (default: false)',
            }),
          ),
        },
        { ...closed, description: 'steps that convert a name in the file to the name of a picture, in this order' },
      ),
    ),
    group: Type.Optional(
      Type.String({ description: 'regular expression on the name; its first group is the reference' }),
    ),
    digits: Type.Optional(
      Type.Enum(['as_written', 'shortest'], {
        description:
          'digits of the score in the published ids; shortest: without padding zeros (4.570000 → 4.57) (default: as_written)',
      }),
    ),
    skip_names: Type.Optional(
      Type.String({
        description: 'regular expression on the name of rows to leave out, because they are not rated items',
      }),
    ),
    drop_rows: Type.Optional(
      Type.Array(Type.Integer({ minimum: 1 }), {
        description: 'numbers of rows to leave out, because the distributor included them in error',
      }),
    ),
    sequence: Type.Optional(
      Type.Array(Type.Tuple([word, Type.Integer({ minimum: 1 })]), {
        description:
          'names for rows of files without names: a pattern with {} for the number, and how many; read as the column "sequence"',
      }),
    ),
    split: Type.Optional(text('split of rows without a split (default: all)')),
    split_name: Type.Optional(
      Type.String({ description: 'regular expression on the name; its first group is the split' }),
    ),
    splits: Type.Optional(
      Type.Record(word, word, { description: 'name of a split in the file → name in the records' }),
    ),
    split_groups: Type.Optional(
      Type.Record(word, Type.Tuple([word, word]), { description: 'split → its first and last reference picture' }),
    ),
    lower_is_better: Type.Optional(Type.Boolean({ description: 'overrides lower_is_better of the dataset' })),
    mirror: Type.Optional(Type.Number({ description: 'overrides mirror of the dataset' })),
    scale: Type.Optional(Type.Tuple([Type.Number(), Type.Number()], { description: 'overrides scale of the dataset' })),
    std_factor: Type.Optional(
      Type.Number({
        exclusiveMinimum: 0,
        description:
          'factor for a standard deviation in other units than the score: mos_std = factor · std (default: 1)',
      }),
    ),
    counts_spread: Type.Optional(
      Type.Boolean({
        description:
          'false: the counts were computed from the mean, so that no spread is read from them (default: true)',
      }),
    ),
    levels: Type.Optional(
      Type.Partial(LevelSettings, { ...closed, description: 'overrides keys of levels of the dataset' }),
    ),
    about: Type.Optional(text('remark about the file')),
  },
  closed,
);
export type LabelFile = Static<typeof LabelFile>;

/** The description of a data set in configs/datasets. */
export const DatasetSpec = Type.Object(
  {
    name: Type.String({ pattern: '^[a-z0-9][a-z0-9_-]*$', description: 'name of the dataset and of its file' }),
    aliases: Type.Optional(Type.Array(word, { description: 'other names of the dataset' })),
    title: text('name as its authors write it'),
    version: text('year, size and scale, as text for readers'),
    kind: Type.Enum([...KINDS], { description: 'what was rated' }),
    task: Type.Enum([...TASKS], { description: 'what the raters were asked about' }),
    licence: text('licence of labels and media'),
    citation: text('publication, with its year'),
    about: Type.Optional(text('remark about the dataset')),
    media: Type.String({ description: 'folder of the pictures, relative to the media root' }),
    names: Type.Optional(
      Type.String({
        description:
          'regular expression that every name matches; it distinguishes label files of two data sets that have the same file name',
      }),
    ),
    scale: Type.Tuple([Type.Number(), Type.Number()], { description: 'lowest and highest possible score' }),
    lower_is_better: Type.Boolean({ default: false, description: 'DMOS: a lower score is a better picture' }),
    mirror: Type.Optional(
      Type.Number({
        description: 'where lower is better, mos = mirror − score (default: the sum of both ends of scale)',
      }),
    ),
    levels: Type.With(LevelSettings, { description: 'conversion of scores to levels' }),
    density: Type.Enum(['pdf', 'cdf'], {
      default: 'pdf',
      description:
        'rule of the soft labels. pdf: normal density at the value of each level; cdf: probability within half a level of it',
    }),
    questions: text('a name of configs/datasets/questions: the paraphrases of the question'),
    id: Type.Enum(['name', 'media'], {
      default: 'name',
      description: "first part of the authors' ids, before ->: the name or the media path",
    }),
    sources: Type.Array(
      Type.Object(
        {
          name: text('name of the source, for --source'),
          about: Type.Optional(text('remark about the source')),
          files: Type.Array(LabelFile, { minItems: 1, description: 'label files of the source; all are required' }),
          split_lists: Type.Optional(
            Type.Record(word, word, {
              description: 'split → file with its names, in the folder of the label files; all other rows are train',
            }),
          ),
        },
        closed,
      ),
      {
        minItems: 1,
        description: 'sources of the labels, best first; the first source with all its files is read',
      },
    ),
  },
  closed,
);
export type DatasetSpec = Static<typeof DatasetSpec>;
export type LevelSettings = Static<typeof LevelSettings>;
