import { isFailure, SCHEMA_VERSION, type ScoreOutcome, type ScoreResult } from '../../../api/result.js';
import { LEVELS } from '../../../scoring/levels.js';
import { cellsOf, CSV_COLUMNS, type Cells } from '../result-csv.js';
import { typeOfColumn, type ResultLayout } from './layout.js';

/** What all scores of a score_version share. */
export interface Shared {
  /** What the field `v` of a row says: the beginning of its score_version. */
  readonly v: string;
  readonly score_version: string;
  readonly scale: ScoreResult['scale'];
  readonly model: ScoreResult['model'];
  readonly prompt: ScoreResult['prompt'];
  readonly preprocessing: ScoreResult['preprocessing'];
}

/** What stands once for the rows of a compact file: beside it, or in the metadata of Parquet. */
export interface CompactMeta {
  readonly format: 'qalign-compact/1';
  readonly schema_version: typeof SCHEMA_VERSION;
  /** The order of `level_probs` and `logits` in rows of JSON. */
  readonly levels: readonly string[];
  /** What a row of JSON leaves out where it is this. */
  readonly defaults: Readonly<Record<string, unknown>>;
  /** One for each model, found by `v` of a row. */
  readonly models: readonly Shared[];
}

const VERSION_DIGITS = 6;

export function emptyMeta(tasks: readonly string[]): CompactMeta {
  return {
    format: 'qalign-compact/1',
    schema_version: SCHEMA_VERSION,
    levels: LEVELS,
    defaults: { ...(tasks.length === 1 ? { task: tasks[0] } : {}), kind: 'image', warnings: [] },
    models: [],
  };
}

function sharedOf({ score_version, scale, model, prompt, preprocessing }: ScoreResult): Shared {
  const { decoder: _decoder, ...same } = preprocessing; // the decoder depends on the file
  return { v: versionTag(score_version), score_version, scale, model, prompt, preprocessing: same };
}

/** The metadata with the model of an outcome. */
export function withOutcome(meta: CompactMeta, outcome: ScoreOutcome): CompactMeta {
  if (isFailure(outcome) || meta.models.some((one) => one.score_version === outcome.score_version)) return meta;
  return { ...meta, models: [...meta.models, sharedOf(outcome)] };
}

/** How a row names its model in the metadata. */
const versionTag = (scoreVersion: string): string => scoreVersion.slice(0, VERSION_DIGITS);

const SMALLEST_NORMAL = 2 ** -126;

/** The number with the fewest digits that reads back to the same fp32. */
export function shortFp32(value: number): number {
  const wanted = Math.fround(value);
  // six digits are the shortest where fewer would do, since zeros at the end are not printed; denormals have fewer
  for (let digits = Math.abs(wanted) < SMALLEST_NORMAL ? 1 : 6; digits < 9; digits += 1) {
    const short = Number(wanted.toPrecision(digits));
    if (Math.fround(short) === wanted) return short;
  }
  return Number(wanted.toPrecision(9));
}

/** The columns that a row of its own needs; numbers are fp32. */
const COLUMNS = [
  ...CSV_COLUMNS.filter(
    (name) =>
      ![
        'scale',
        'model',
        'revision',
        'weights_sha256',
        'precision',
        'device',
        'prompt',
        'score_version',
        'schema_version',
      ].includes(name),
  ),
  'v',
  /** Of a failure among several models; a score has `v`. */
  'failed_model',
];

/** @param defaults what a row of JSON leaves out */
export function compactLayout(defaults: CompactMeta['defaults']): ResultLayout {
  return {
    kind: 'compact',
    names: [],
    columns: COLUMNS.map((name) => {
      const type = typeOfColumn(name);
      return { name, type: type === 'double' ? 'float' : type };
    }),
    cellsOf: compactCells,
    jsonOf(outcome) {
      const row = Object.entries(compactRow(outcome)).filter(
        ([name, value]) => !(name in defaults && JSON.stringify(defaults[name]) === JSON.stringify(value)),
      );
      return JSON.stringify(Object.fromEntries(row));
    },
  };
}

function compactCells(outcome: ScoreOutcome): Cells {
  const cells = cellsOf(outcome);
  const row = COLUMNS.map((name) => {
    const value = cells[name];
    const short = typeof value === 'number' && ['double', 'float'].includes(typeOfColumn(name));
    return [name, short ? shortFp32(value) : value];
  });
  return {
    ...(Object.fromEntries(row) as Cells),
    ...(isFailure(outcome) ? { failed_model: cells['model'] } : { v: versionTag(outcome.score_version) }),
  };
}

function compactRow(outcome: ScoreOutcome): Readonly<Record<string, unknown>> {
  const { schema_version: _schema, ...fields } = outcome;
  if (!('score' in fields)) return fields;
  const { scale: _scale, model: _model, prompt: _prompt, preprocessing, score_version, ...own } = fields;
  return {
    ...own,
    score: shortFp32(own.score),
    ...(own.calibrated_score === undefined ? {} : { calibrated_score: shortFp32(own.calibrated_score) }),
    level_probs: LEVELS.map((level) => shortFp32(own.level_probs[level])),
    logits: LEVELS.map((level) => shortFp32(own.logits[level])),
    level_mass: shortFp32(own.level_mass),
    entropy: shortFp32(own.entropy),
    std: shortFp32(own.std),
    ...(preprocessing.decoder === undefined ? {} : { decoder: preprocessing.decoder }),
    v: versionTag(score_version),
  };
}

/** The fields of a compact row with what stands once, for whoever reads it; undefined where no model is its own. */
export function expandRow(
  row: Readonly<Record<string, unknown>>,
  { schema_version, defaults, models }: CompactMeta,
): Readonly<Record<string, unknown>> | undefined {
  const known = { schema_version, ...defaults, ...row };
  if (row['v'] === undefined) return known;
  const shared = models.find(({ v }) => v === row['v']);
  return shared === undefined ? undefined : { ...known, ...shared };
}
