import type { FrameCurve } from '../../api/frame-curve.js';
import { LEVELS } from '../../scoring/levels.js';
import { isFailure, type ScoreOutcome } from '../../api/result.js';

/** Columns after `frame_rule` in the tables of a run with frame curves. */
const CURVE_COLUMNS = ['frames_window', 'frames_mean', 'frames_p5', 'frames_min', 'frames_worst_s'] as const;

export const CSV_COLUMNS = [
  'input',
  'kind',
  'task',
  'score',
  'scale',
  'level',
  'warnings',
  ...LEVELS.map((level) => `p_${level}`),
  ...LEVELS.map((level) => `logit_${level}`),
  'level_mass',
  'entropy',
  'std',
  'calibrated_score',
  'calibration',
  'frames',
  'frame_rule',
  'width',
  'height',
  'file_size',
  'modified',
  'sha256',
  'input_base64',
  'model',
  'revision',
  'weights_sha256',
  'precision',
  'device',
  'taught',
  'processor',
  'prompt',
  'decoder',
  'score_version',
  'schema_version',
  'error_code',
  'error_message',
] as const;

/** The columns of a run with frame curves. */
export const CSV_CURVE_COLUMNS: readonly string[] = CSV_COLUMNS.flatMap((name) =>
  name === 'frame_rule' ? [name, ...CURVE_COLUMNS] : [name],
);

export type Cell = string | number | boolean | readonly (string | number)[];

/** An outcome as one flat row, by column. */
export type Cells = Readonly<Record<string, Cell | undefined>>;

/** The header line of all columns, without a line end. */
export const CSV_HEADER = CSV_COLUMNS.join(',');

/** The columns of a CSV file and the cells of its rows. */
export interface CsvTable {
  readonly columns: readonly { readonly name: string }[];
  cellsOf(outcome: ScoreOutcome): Cells;
}

export interface CsvOptions {
  /**
   * Prefixes text that a spreadsheet would run as a formula with an apostrophe. `input_base64` then has the exact name.
   */
  readonly spreadsheet?: boolean | undefined;
}

const ALL: CsvTable = { columns: CSV_COLUMNS.map((name) => ({ name })), cellsOf };

/** Formats a row as RFC 4180, without a line end. Numbers keep all digits; warnings are joined by `; `. */
export function csvLine(
  outcome: ScoreOutcome,
  { spreadsheet = false }: CsvOptions = {},
  table: CsvTable = ALL,
): string {
  const plain = table.cellsOf(outcome);
  const cells = spreadsheet ? withoutFormulas(plain) : plain;
  return table.columns.map(({ name }) => quoted(cells[name])).join(',');
}

/** The header line of a table, without a line end. */
export const csvHeader = ({ columns }: CsvTable): string => columns.map(({ name }) => name).join(',');

export function cellsOf(outcome: ScoreOutcome): Cells {
  if (isFailure(outcome)) {
    const { error, model, ...input } = outcome;
    return {
      ...input,
      ...(model === undefined ? {} : { model: model.id }),
      error_code: error.code,
      error_message: error.message,
    };
  }
  const { model, warnings, level_probs, logits, prompt, preprocessing, frame_curve: curve, ...others } = outcome;
  const { map: _map, ...fields } = others;
  return {
    ...fields,
    ...Object.fromEntries(
      LEVELS.flatMap((level) => [
        [`p_${level}`, level_probs[level]],
        [`logit_${level}`, logits[level]],
      ]),
    ),
    warnings,
    model: model.id,
    revision: model.revision,
    weights_sha256: model.weights_sha256,
    precision: model.precision,
    device: model.device,
    taught: model.taught,
    processor: model.processor,
    prompt: prompt.name,
    decoder: preprocessing.decoder,
    ...(curve === undefined ? {} : curveCells(curve)),
  };
}

function curveCells({ window, mean, p5, min, worst, times_s, scores }: FrameCurve): Cells {
  return {
    frames_window: window,
    frames_mean: mean,
    frames_p5: p5,
    frames_min: min,
    frames_worst_s: times_s[worst[0] ?? 0],
    frames_times_s: times_s,
    frames_scores: scores,
  };
}

/** Spreadsheets run text that begins with one of these as a formula. A leading apostrophe marks a cell as text. */
const FORMULA = /^[=+\-@\t\r'＝＋－＠]/;

/** A text as it is written in a cell, before quoting. */
export const csvText = (text: string, { spreadsheet = false }: CsvOptions): string =>
  spreadsheet && FORMULA.test(text) ? `'${text}` : text;

function withoutFormulas(cells: Cells): Cells {
  const safe: Cells = Object.fromEntries(
    Object.entries(cells).map(([column, value]) => [
      column,
      typeof value === 'string' ? csvText(value, { spreadsheet: true }) : value,
    ]),
  );
  const { input, input_base64: exact } = cells;
  if (safe['input'] === input) return safe;
  return { ...safe, input_base64: exact ?? Buffer.from(input as string).toString('base64') };
}

function quoted(value: Cell | undefined): string {
  const text = value === undefined ? '' : typeof value === 'object' ? value.join('; ') : String(value);
  return /[",\r\n]/.test(text) || /^\s|\s$/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
