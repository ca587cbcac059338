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
        'level of a score exactly between two levels. `lower`: the score is the lower edge of the upper level. `upper`: it is the upper edge of the lower level',
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
        description: 'separator of the columns of a text table (default ","); a space matches one or more blanks',
      }),
    ),
    header: Type.Optional(
      Type.Boolean({ description: 'true (default): the first row contains the names of the columns' }),
    ),
    sheet: Type.Optional(text('sheet of a workbook (default: the first)')),
    skip_rows: Type.Optional(Type.Integer({ minimum: 0, description: 'number of rows above the header' })),
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
              Type.Enum([...DELIMITERS], { description: 'separator of its columns (default ",")' }),
            ),
          },
          closed,
        ),
        {
          description: 'columns in other files that have the same rows in the same order',
        },
      ),
    ),
    name: Type.Optional(
      Type.Object(
        {
          rewrite: Type.Optional(
            Type.Array(Type.Tuple([word, Type.String()]), {
              description: 'pairs of a regular expression and its replacement, applied in order',
            }),
          ),
          add: Type.Optional(Type.String({ description: 'text to append to every name, such as .mp4' })),
          template: Type.Optional(Type.String({ description: 'name built from columns: {0}.{2}.png' })),
          words: Type.Optional(
            Type.Record(word, Type.String(), {
              description: 'words to replace in the columns of the template: old → new',
            }),
          ),
          lower: Type.Optional(
            Type.Boolean({ description: 'convert names to lower case, for files whose names differ only in case' }),
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
        description: 'digits of the score in the published ids. shortest: remove padding, 4.570000 → 4.57',
      }),
    ),
    skip_names: Type.Optional(
      Type.String({ description: 'regular expression on the name; matching rows are not rated items' }),
    ),
    drop_rows: Type.Optional(
      Type.Array(Type.Integer({ minimum: 1 }), {
        description: 'numbers of rows that the distributor included in error',
      }),
    ),
    sequence: Type.Optional(
      Type.Array(Type.Tuple([word, Type.Integer({ minimum: 1 })]), {
        description:
          'generated names, if no file contains them: a pattern with {} and the number of names. They are in the column "sequence"',
      }),
    ),
    split: Type.Optional(text('split of rows without a split (default: all)')),
    split_name: Type.Optional(
      Type.String({ description: 'regular expression on the name; its first group is the split' }),
    ),
    splits: Type.Optional(Type.Record(word, word, { description: 'split in the file → split of qalign' })),
    split_groups: Type.Optional(
      Type.Record(word, Type.Tuple([word, word]), { description: 'split → its first and last reference' }),
    ),
    lower_is_better: Type.Optional(
      Type.Boolean({ description: 'replaces lower_is_better of the dataset for this file' }),
    ),
    mirror: Type.Optional(Type.Number({ description: 'replaces mirror of the dataset for this file' })),
    scale: Type.Optional(
      Type.Tuple([Type.Number(), Type.Number()], { description: 'replaces scale of the dataset for this file' }),
    ),
    std_factor: Type.Optional(
      Type.Number({
        exclusiveMinimum: 0,
        description: 'factor for an std in other units than the score: mos_std = factor · std',
      }),
    ),
    counts_spread: Type.Optional(
      Type.Boolean({ description: 'false: the counts were computed from the mean, so their spread has no meaning' }),
    ),
    levels: Type.Optional(
      Type.Partial(LevelSettings, {
        ...closed,
        description: 'replaces single keys of levels of the dataset for this file',
      }),
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
    version: text('year, size and scale, for readers'),
    kind: Type.Enum([...KINDS], { description: 'kind of the rated files' }),
    task: Type.Enum([...TASKS], { description: 'question of the study: quality or aesthetics' }),
    licence: text('licence of labels and media'),
    citation: text('publication, with its year'),
    about: Type.Optional(text('remark about the dataset')),
    media: Type.String({ description: 'folder of the pictures, relative to the media root' }),
    names: Type.Optional(
      Type.String({
        description:
          'regular expression that every name matches; it detects the label file of another dataset with the same file name',
      }),
    ),
    scale: Type.Tuple([Type.Number(), Type.Number()], { description: 'lowest and highest possible score, inclusive' }),
    lower_is_better: Type.Boolean({ default: false, description: 'true: a lower score means a better picture (DMOS)' }),
    mirror: Type.Optional(
      Type.Number({ description: 'with lower_is_better: mos = mirror − score (default: lo + hi of the scale)' }),
    ),
    levels: Type.With(LevelSettings, { description: 'conversion of scores to levels' }),
    density: Type.Enum(['pdf', 'cdf'], {
      default: 'pdf',
      description:
        'rule of the soft labels. pdf: normal density at the value of each level; cdf: probability within half a level of it',
    }),
    questions: text('paraphrases of the question: a name of configs/datasets/questions'),
    id: Type.Enum(['name', 'media'], { default: 'name', description: "part before -> in the authors' ids" }),
    sources: Type.Array(
      Type.Object(
        {
          name: text('name of the source, for --source'),
          about: Type.Optional(text('remark about the source')),
          files: Type.Array(LabelFile, { minItems: 1, description: 'label files of the source; all must exist' }),
          split_lists: Type.Optional(
            Type.Record(word, word, {
              description: 'split → file with its names, in the folder of the label files; other rows are train',
            }),
          ),
        },
        closed,
      ),
      {
        minItems: 1,
        description: 'alternative sources of the labels, the best first. The first source with all its files is read',
      },
    ),
  },
  closed,
);
export type DatasetSpec = Static<typeof DatasetSpec>;
export type LevelSettings = Static<typeof LevelSettings>;
