import Type, { type Static } from 'typebox';

const closed = { additionalProperties: false };
const text = (description: string) => Type.String({ minLength: 1, description });

/**
 * The origin of a record: the name of the label file and the row. A row is a line number from 1 (a row number in
 * workbooks, an index from 1 in JSON lists).
 */
export const RecordSource = Type.Object(
  {
    file: text('name of the label file'),
    row: Type.Integer({ minimum: 1, description: 'row in the label file, from 1' }),
  },
  { ...closed, description: 'source of the rating' },
);

/**
 * One line of a record file (JSONL). `qalign dataset convert` writes it, training reads it, and evaluation scores it.
 * `mos` is in the units of the dataset, and higher is better. Labels for which lower is better are inverted before.
 */
export const DatasetRecord = Type.Object(
  {
    id: Type.String({ minLength: 1, description: 'unique in the file; the media name in the dataset' }),
    media: Type.String({
      minLength: 1,
      description: 'path, relative to the media root (by default the folder of the record file), with forward slashes',
    }),
    kind: Type.Enum(['image', 'video'], { description: 'kind of the rated file' }),
    task: Type.Enum(['quality', 'aesthetics'], { description: 'question of the study' }),
    dataset: text('name of the dataset'),
    mos: Type.Number({ description: 'mean opinion score in units of the dataset, higher is better' }),
    mos_std: Type.Optional(
      Type.Number({ minimum: 0, description: 'standard deviation of the ratings, in the units of mos' }),
    ),
    level: Type.Optional(text('level of the MOS')),
    level_probs: Type.Optional(
      Type.Array(Type.Number({ minimum: 0, maximum: 1 }), { minItems: 2, description: 'soft label, best level first' }),
    ),
    question: Type.String({ minLength: 1, description: 'contains one <|image|> for a picture or for a whole video' }),
    answer: text('expected answer of the model in training'),
    split: text('train, dev, test or another split of the dataset'),
    group: Type.Optional(
      Type.String({
        minLength: 1,
        description: 'records of one group stay in the same split, for example all with the same reference image',
      }),
    ),
    series: Type.Optional(
      Type.String({
        minLength: 1,
        description: 'id of a series of pictures with falling quality, made from one picture',
      }),
    ),
    order: Type.Optional(Type.Integer({ minimum: 0, description: 'position in the series; 0 is the best' })),
    source: RecordSource,
  },
  closed,
);
export type DatasetRecord = Static<typeof DatasetRecord>;
