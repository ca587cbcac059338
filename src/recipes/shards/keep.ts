import { isFailure, type ScoreOutcome } from '../../api/result.js';
import { QalignError } from '../../base/errors.js';
import { hint } from '../../base/suggest.js';
import { LEVELS } from '../../scoring/levels.js';
import { cellsOf } from '../score/result-csv.js';

/** Columns that a condition can compare. */
export const KEEP_COLUMNS: readonly string[] = [
  'score',
  'calibrated_score',
  ...LEVELS.map((level) => `p_${level}`),
  'level_mass',
  'entropy',
  'std',
  'width',
  'height',
  'frames',
  'file_size',
];

const COMPARE: Readonly<Record<string, (value: number, limit: number) => boolean>> = {
  '>=': (value, limit) => value >= limit,
  '<=': (value, limit) => value <= limit,
  '>': (value, limit) => value > limit,
  '<': (value, limit) => value < limit,
};
const CONDITION = /^([a-z_]+)\s*(>=|<=|>|<)\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?)$/i;

/** The condition of `--keep`. */
export interface Keep {
  /** Its text with single spaces, for comparison. */
  readonly text: string;
  /** Whether the key of a row is kept. A failed row, and a row without a value in a column, is not. */
  accepts(outcome: ScoreOutcome): boolean;
}

/**
 * Parses conditions such as `score>=3.5 and width>=512`: a column, a comparison and a number, joined by `and`.
 *
 * @throws QalignError USAGE
 */
export function parseKeep(text: string): Keep {
  const conditions = text
    .trim()
    .split(/\s+and\s+/i)
    .map((one) => {
      const [, name = '', sign = '', limit = ''] = CONDITION.exec(one.trim()) ?? [];
      if (name === '')
        throw new QalignError(
          'USAGE',
          `--keep: ${JSON.stringify(one)} is no condition; write a column, one of >= <= > <, and a number, for example score>=3.5, and join several by "and".`,
        );
      const column = name.toLowerCase();
      if (!KEEP_COLUMNS.includes(column))
        throw new QalignError(
          'USAGE',
          `--keep: there is no column ${name}${hint(column, KEEP_COLUMNS)}; columns are ${KEEP_COLUMNS.join(', ')}.`,
        );
      return { column, sign, limit: Number(limit) };
    });
  return {
    text: conditions.map(({ column, sign, limit }) => `${column}${sign}${limit}`).join(' and '),
    accepts(outcome) {
      if (isFailure(outcome)) return false;
      const cells = cellsOf(outcome);
      return conditions.every(({ column, sign, limit }) => {
        const value = cells[column];
        return typeof value === 'number' && COMPARE[sign]!(value, limit);
      });
    },
  };
}
