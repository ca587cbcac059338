import type { ViewRow } from '../../api/view.js';
import { LEVELS, SCALES } from '../../scoring/levels.js';
import type { Fields } from '../score/layout/recognise.js';

/** A row of a results file for the index: what the page lists, and the exact name of the input. */
export interface StoredRow extends Omit<ViewRow, 'n'> {
  /** Exact bytes of the name in base64, if it is not UTF-8. */
  readonly input_base64: string | null;
}

/**
 * Reads the fields that the page lists. Rows of every layout are accepted: objects of JSON, dotted names of `--fields`,
 * and columns of CSV and Parquet. Returns undefined if the fields are not a result.
 */
export function toStoredRow(fields: Fields): StoredRow | undefined {
  const input = textOf(fields, 'input');
  const code = textOf(fields, 'error.code', 'error_code');
  const score = numberOf(fields, 'score');
  const level = textOf(fields, 'level');
  const probs = levelProbs(fields);
  if (input === null || (code === null && score === null && level === null && probs === null)) return undefined;
  const message = textOf(fields, 'error.message', 'error_message') ?? '';
  const isFailed = code !== null;
  return {
    input,
    input_base64: textOf(fields, 'input_base64'),
    task: textOf(fields, 'task'),
    score: isFailed ? null : score,
    scale: SCALES.find((one) => one === fields['scale']) ?? null,
    level: isFailed ? null : level,
    level_probs: isFailed ? null : probs,
    level_mass: numberOf(fields, 'level_mass'),
    entropy: numberOf(fields, 'entropy'),
    warnings: warningsOf(fields['warnings']),
    error: isFailed ? { code, message } : null,
    model: textOf(fields, 'model.id', 'failed_model', 'model'),
    score_version: textOf(fields, 'score_version'),
  };
}

/** The first of these names with a value. A dotted name is a column, or a property of an object. */
function valueOf(fields: Fields, names: readonly string[]): unknown {
  for (const name of names) {
    const [outer = '', inner] = name.split('.');
    const nested = inner === undefined ? undefined : (fields[outer] as Fields | null | undefined)?.[inner];
    const value = fields[name] ?? nested;
    if (value !== undefined && value !== null && value !== '') return value;
  }
  return undefined;
}

function textOf(fields: Fields, ...names: readonly string[]): string | null {
  const value = valueOf(fields, names);
  return typeof value === 'string' ? value : null;
}

function numberOf(fields: Fields, ...names: readonly string[]): number | null {
  const value = valueOf(fields, names);
  if (value === undefined || typeof value === 'object' || typeof value === 'boolean') return null;
  const number = Number(value);
  return Number.isFinite(number) ? number : null;
}

function levelProbs(fields: Fields): number[] | null {
  const whole = fields['level_probs'];
  const found = Array.isArray(whole)
    ? whole.map(Number)
    : LEVELS.map((level) => numberOf(fields, `level_probs.${level}`, `p_${level}`) ?? NaN);
  return found.length === LEVELS.length && found.every((value) => value >= 0 && value <= 1) ? found : null;
}

/** A list of JSON or Parquet, or the cell of a CSV file. */
function warningsOf(value: unknown): string[] {
  if (Array.isArray(value)) return value.map(String);
  return typeof value === 'string' && value !== '' ? value.split('; ') : [];
}
