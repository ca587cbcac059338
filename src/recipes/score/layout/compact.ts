import type { QualityMap } from '../../../api/quality-map.js';
import { isFailure, SCHEMA_VERSION, type ScoreOutcome, type ScoreResult } from '../../../api/result.js';
import { LEVELS } from '../../../scoring/levels.js';
import { cellsOf, type Cells } from '../result-csv.js';
import { curveColumns, typeOfColumn, type ResultLayout } from './layout.js';

/** The prompt of the scores of one task and kind. */
export interface SharedPrompt {
  readonly task: ScoreResult['task'];
  readonly kind: ScoreResult['kind'];
  /** Frames of the clips with this prompt; only if its text depends on their number. */
  readonly frames?: number;
  readonly prompt: ScoreResult['prompt'];
}

/** Fields that are equal in all scores of one score_version, and its prompts. */
export interface Shared {
  /** The field `v` of a row: the first 6 digits of its score_version. */
  readonly v: string;
  readonly score_version: string;
  readonly scale: ScoreResult['scale'];
  readonly model: ScoreResult['model'];
  readonly prompts: readonly SharedPrompt[];
  readonly preprocessing: ScoreResult['preprocessing'];
}

/** Fields that a compact file stores once for all rows: in a sidecar file, or in the metadata of Parquet. */
export interface CompactMeta {
  readonly format: 'qalign-compact/1';
  readonly schema_version: typeof SCHEMA_VERSION;
  /** The order of `level_probs` and `logits` in rows of JSON. */
  readonly levels: readonly string[];
  /** Default values. A JSON row omits a field that has its default. */
  readonly defaults: Readonly<Record<string, unknown>>;
  /** One entry per score_version; a row refers to it by `v`. */
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

function sharedOf(outcome: ScoreResult): Shared {
  const { score_version, scale, model, preprocessing } = outcome;
  const { decoder: _decoder, ...same } = preprocessing; // the decoder differs between files
  return {
    v: versionTag(score_version),
    score_version,
    scale,
    model,
    prompts: [promptOf(outcome)],
    preprocessing: same,
  };
}

/** The text that a chat template made has a part for each frame. */
const promptOf = ({ task, kind, frames, prompt }: ScoreResult): SharedPrompt => ({
  task,
  kind,
  ...(frames === undefined || prompt.rendered === undefined ? {} : { frames }),
  prompt,
});

type PromptKey = Pick<SharedPrompt, 'task' | 'kind' | 'frames'>;
const promptFor = ({ prompts }: Shared, { task, kind, frames }: PromptKey): SharedPrompt | undefined =>
  prompts
    .filter((one) => one.task === task && one.kind === kind)
    .find((one) => one.frames === undefined || one.frames === Number(frames));

/** Adds the model and the prompt of an outcome to the metadata, if they are new. */
export function withOutcome(meta: CompactMeta, outcome: ScoreOutcome): CompactMeta {
  if (isFailure(outcome)) return meta;
  const known = meta.models.find((one) => one.score_version === outcome.score_version);
  if (known === undefined) return { ...meta, models: [...meta.models, sharedOf(outcome)] };
  if (promptFor(known, outcome) !== undefined) return meta;
  const more = { ...known, prompts: [...known.prompts, promptOf(outcome)] };
  return { ...meta, models: meta.models.map((one) => (one === known ? more : one)) };
}

/** The key by which a row refers to its entry in `models`. */
export const versionTag = (scoreVersion: string): string => scoreVersion.slice(0, VERSION_DIGITS);

const SMALLEST_NORMAL = 2 ** -126;

/** Rounds to the fewest digits that parse to the same fp32 value. */
export function shortFp32(value: number): number {
  const wanted = Math.fround(value);
  // starting at six digits is safe because trailing zeros are not printed; denormals can need fewer
  for (let digits = Math.abs(wanted) < SMALLEST_NORMAL ? 1 : 6; digits < 9; digits += 1) {
    const short = Number(wanted.toPrecision(digits));
    if (Math.fround(short) === wanted) return short;
  }
  return Number(wanted.toPrecision(9));
}

/** Columns that a compact row leaves to its sidecar. */
const SHARED_COLUMNS: readonly string[] = [
  'scale',
  'model',
  'revision',
  'weights_sha256',
  'precision',
  'device',
  'taught',
  'processor',
  'prompt',
  'score_version',
  'schema_version',
];

/** @param defaults values that JSON rows omit */
export function compactLayout(defaults: CompactMeta['defaults'], withCurves = false): ResultLayout {
  const { names, ...curves } = curveColumns(withCurves);
  // the model of a failed row in a run with several models; a scored row has `v`
  const columns = [...names.filter((name) => !SHARED_COLUMNS.includes(name)), 'v', 'failed_model'];
  return {
    kind: 'compact',
    names: [],
    // numbers are fp32
    columns: columns.map((name) => {
      const type = typeOfColumn(name);
      return { name, type: type === 'double' ? 'float' : type };
    }),
    ...curves,
    cellsOf: (outcome) => compactCells(outcome),
    jsonOf(outcome) {
      const row = Object.entries(compactRow(outcome)).filter(
        ([name, value]) => !(name in defaults && JSON.stringify(defaults[name]) === JSON.stringify(value)),
      );
      return JSON.stringify(Object.fromEntries(row));
    },
  };
}

function compactCells(outcome: ScoreOutcome): Cells {
  const cells = cellsOf(isFailure(outcome) ? outcome : { ...outcome, ...compactCurve(outcome) });
  const row = Object.entries(cells).map(([name, value]) => {
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
    ...(own.map === undefined ? {} : { map: compactMap(own.map) }),
    ...compactCurve(own),
    ...(preprocessing.decoder === undefined ? {} : { decoder: preprocessing.decoder }),
    v: versionTag(score_version),
  };
}

/** The map with fp32 numbers. */
export const compactMap = (map: QualityMap): QualityMap => ({
  ...map,
  values: map.values.map(shortFp32),
  median: shortFp32(map.median),
});

/** The curve with fp32 numbers; nothing without a curve. */
function compactCurve({ frame_curve: curve }: Pick<ScoreResult, 'frame_curve'>): Pick<ScoreResult, 'frame_curve'> {
  if (curve === undefined) return {};
  const { times_s, scores, mean, p5, min, ...same } = curve;
  return {
    frame_curve: {
      ...same,
      times_s: times_s.map(shortFp32),
      scores: scores.map(shortFp32),
      mean: shortFp32(mean),
      p5: shortFp32(p5),
      min: shortFp32(min),
    },
  };
}

/** Restores the shared fields of a compact row; undefined if the metadata has no entry for its `v` or its prompt. */
export function expandRow(
  row: Readonly<Record<string, unknown>>,
  { schema_version, defaults, models }: CompactMeta,
): Readonly<Record<string, unknown>> | undefined {
  const known = { schema_version, ...defaults, ...row };
  if (row['v'] === undefined) return known;
  const found = models.find(({ v }) => v === row['v']);
  if (found === undefined) return undefined;
  const { prompts: _prompts, ...shared } = found;
  const prompt = promptFor(found, known as unknown as PromptKey)?.prompt;
  return prompt === undefined ? undefined : { ...known, ...shared, prompt };
}
