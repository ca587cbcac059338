import { csvCell } from '../../report/csv.js';
import { LEVELS } from '../../scoring/levels.js';
import type { ScoreOutcome } from '../../api/result.js';

const COLUMNS = [
  'input',
  'task',
  'score',
  'scale',
  'level',
  ...LEVELS.map((level) => `p_${level}`),
  'level_mass',
  'entropy',
  'std',
  'model',
  'score_version',
  'warnings',
  'error_code',
  'error_message',
];

/** One JSON value on each line. Outcomes are then rows as the command line writes them. */
export const toJsonLines = (values: readonly unknown[]): string =>
  values.map((value) => `${JSON.stringify(value)}\n`).join('');

/** The main fields of the rows as CSV, safe to open in a spreadsheet. */
export function toCsv(outcomes: readonly ScoreOutcome[]): string {
  const lines = outcomes.map((outcome) => cellsOf(outcome).map(safeCell).join(','));
  return `${[COLUMNS.join(','), ...lines].join('\n')}\n`;
}

function cellsOf(outcome: ScoreOutcome): (string | number)[] {
  if ('error' in outcome) {
    const empty = new Array<string>(COLUMNS.length - 4).fill('');
    return [outcome.input, outcome.task, ...empty, outcome.error.code, outcome.error.message];
  }
  const { input, task, score, scale, level, level_probs, level_mass, entropy, std, model, score_version } = outcome;
  return [
    ...[input, task, score, scale, level],
    ...LEVELS.map((one) => level_probs[one]),
    ...[level_mass, entropy, std, model.id, score_version, outcome.warnings.join(' '), '', ''],
  ];
}

/** An apostrophe before text that a spreadsheet would run as a formula. */
export const safeCell = (value: string | number): string =>
  csvCell(typeof value === 'string' && /^[=+\-@\t\r]/.test(value) ? `'${value}` : value);
