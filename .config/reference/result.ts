import { DatasetRecord } from '../../bridge/protocol/record.js';
import { TrainEvent } from '../../bridge/protocol/train.js';
import { ScoreFailureSchema, ScoreResultSchema, PreprocessingSchema } from '../../src/api/result.js';
import { keysOf, nodeOf, type SchemaKey } from '../../src/config/recipe-keys.js';
import { PredictionHeaderSchema } from '../../src/recipes/evaluate/predictions.js';
import type { ColumnType } from '../../src/recipes/score/layout/column.js';
import { compactLayout } from '../../src/recipes/score/layout/compact.js';
import { FULL_LAYOUT, fullLayout } from '../../src/recipes/score/layout/layout.js';
import { MAP_COLUMNS } from '../../src/recipes/score/map/columns.js';
import { MetaSchema } from '../../src/recipes/score/layout/sidecar.js';
import { membersOf } from './declarations.js';
import { fieldTable, meaningOf, typeOf, type Sections } from './keys.js';
import { code, GENERATED, page, prose, table } from './markdown.js';

const STORED: Readonly<Record<ColumnType, string>> = {
  text: 'string',
  texts: 'list of string',
  double: 'double',
  doubles: 'list of double',
  float: 'float',
  integer: 'int32',
  integers: 'list of int32',
  long: 'int64',
  boolean: 'boolean',
};

/** Columns whose names are not those of a field, or of its last part. */
const RENAMED: Readonly<Record<string, string>> = {
  model: 'model.id',
  prompt: 'prompt.name',
  error_code: 'error.code',
  error_message: 'error.message',
  failed_model: 'model.id',
  v: 'score_version',
  frames_worst_s: 'frame_curve.worst',
  ...Object.fromEntries(
    ['window', 'mean', 'p5', 'min', 'times_s', 'scores'].map((name) => [`frames_${name}`, `frame_curve.${name}`]),
  ),
};

const MAP_MEANINGS: Readonly<Record<string, string>> = {
  map_min: 'Lowest score of a window.',
  map_min_x: 'Left edge of this window, in pixels of the picture.',
  map_min_y: 'Upper edge of this window, in pixels of the picture.',
  map_median: 'Median of the map.',
};
const CURVES = fullLayout(true);
const PLAIN = new Set(FULL_LAYOUT.columns.map(({ name }) => name));

const FIELDS: ReadonlyMap<string, SchemaKey> = new Map(
  [...keysOf(nodeOf(ScoreFailureSchema)), ...keysOf(nodeOf(ScoreResultSchema))].map((field) => [field.key, field]),
);

/** Objects that stand in several files, described with the scores. */
const SHARED: Sections = new Map(
  [ScoreResultSchema.properties.model, ScoreResultSchema.properties.prompt, PreprocessingSchema].map((schema) => [
    nodeOf(schema),
    'as in [scores](#scores)',
  ]),
);

export const resultPage = (): string =>
  page(
    GENERATED,
    '# Results',
    'What `qalign score`, the service and the library write for each input and task. A row is a score or a failure; a failure has the field `error`.',
    '## Scores',
    'A line of `--format jsonl`, an element of `results` in answers of the service, and what `scorer.score` resolves to.',
    fieldTable(ScoreResultSchema, 'Always there'),
    '## Failures',
    fieldTable(ScoreFailureSchema, 'Always there'),
    '## Chosen fields',
    '`--fields input,score,level_probs.good` writes only these fields, in this order and with these names. It accepts every field above. A field that a row does not have is `null` in JSON and an empty cell in tables. In tables, an object has one column for each of its values.',
    '## CSV and Parquet',
    'Both formats have these columns. A cell is empty (null in Parquet) if the row does not have the field. In CSV, warnings are joined by `; `; in Parquet they are a list.',
    columnTable(FULL_LAYOUT.columns),
    'With `--per-frame`, both formats have more columns after `frame_rule`, which are empty for pictures. `frames_worst_s` is the time of the lowest score. Parquet also has the lists of times and scores; `--per-frame-csv` writes them as lines of CSV.',
    columnTable([...CURVES.columns.filter(({ name }) => !PLAIN.has(name)), ...CURVES.lists]),
    'With `--map`, both formats have more columns at the end. They are empty for clips. Parquet also has `map`, as JSON text.',
    table(
      ['column', 'Parquet type', 'meaning'],
      MAP_COLUMNS.map(({ name, type }) => [code(name), STORED[type], MAP_MEANINGS[name] ?? '']),
    ),
    '## Compact rows',
    '`--compact` omits values that all rows share. Numbers in JSON and CSV then have only the digits of single precision. In JSON, `level_probs` and `logits` are lists in the order of `levels`, `decoder` is a field of the row, and `v` is the beginning of `score_version`. Tables have these columns:',
    columnTable(compactLayout({}).columns),
    '### FILE.meta.json',
    'The values that compact rows share are in `FILE.meta.json` beside their file, or in the metadata `qalign` of a Parquet file.',
    fieldTable(MetaSchema, 'Always there', SHARED),
    '## Predictions',
    '`qalign evaluate` writes a file `predictions/NAME.jsonl` for each entry of `data`. Every line ends with `checksum`: the first 64 bits of SHA-256 of the text before it, in hexadecimal. If a record has two lines, the last one counts.',
    '### First line',
    fieldTable(PredictionHeaderSchema, 'Always there', SHARED),
    '### Other lines',
    'Every line also has `score_version`.',
    memberTable('Prediction'),
    'A record that could not be scored:',
    memberTable('PredictionFailure'),
    '## Records',
    'A line of the JSONL files that `qalign dataset convert` writes; training and evaluation read them.',
    fieldTable(DatasetRecord, 'Always there'),
    '## Training events',
    'A line of `events.jsonl` in the directory of a run. The service sends them as server-sent events.',
    table(
      ['Event', 'Field', 'Type', 'Meaning'],
      TrainEvent.anyOf.flatMap((event) =>
        keysOf(nodeOf(event))
          .filter(({ key }) => key !== 'event')
          .map((field) => [
            code(event.properties.event.const),
            code(field.key),
            `${typeOf(field.node)}${field.required ? '' : ', optional'}`,
            meaningOf(field),
          ]),
      ),
    ),
  );

const columnTable = (columns: readonly { readonly name: string; readonly type: ColumnType }[]): string =>
  table(
    ['Column', 'Type in Parquet', 'Field', 'Meaning'],
    columns.map(({ name, type }) => {
      const field = fieldOfColumn(name);
      return [code(name), STORED[type], code(field.key), meaningOf(field)];
    }),
  );

/** The field that a column holds: of its name, of a level, or of the last part of a dotted name. */
export function fieldOfColumn(column: string): SchemaKey {
  const [, group, level] = /^(p|logit)_(\w+)$/.exec(column) ?? [];
  const name =
    RENAMED[column] ?? (level === undefined ? column : `${group === 'p' ? 'level_probs' : 'logits'}.${level}`);
  const found = FIELDS.get(name) ?? [...FIELDS.values()].find(({ key }) => key.endsWith(`.${name}`));
  if (found === undefined) throw new Error(`no field of a row belongs to the column ${column}`);
  return found;
}

const memberTable = (name: string): string =>
  table(
    ['Field', 'Type', 'Always there', 'Meaning'],
    membersOf('src/recipes/evaluate/predictions.ts', name).map(({ name, type, isOptional, doc }) => [
      code(name),
      code(type),
      isOptional ? 'no' : 'yes',
      prose(doc),
    ]),
  );
