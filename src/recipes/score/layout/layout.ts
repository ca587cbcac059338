import type { ScoreOutcome } from '../../../api/result.js';
import { cellsOf, CSV_COLUMNS, type Cell, type Cells } from '../result-csv.js';
import type { Column, ColumnType } from './column.js';
import { columnsOf, fieldOf } from './fields.js';

/** What the rows of a results file hold, whatever its format. */
export interface ResultLayout {
  readonly kind: 'full' | 'fields' | 'compact';
  /** Of rows of JSON, where all have the same. */
  readonly names: readonly string[];
  /** Of CSV and Parquet. */
  readonly columns: readonly Column[];
  cellsOf(outcome: ScoreOutcome): Cells;
  /** A row of JSON, on one line. */
  jsonOf(outcome: ScoreOutcome): string;
}

const DOUBLES = ['score', 'level_mass', 'entropy', 'std', 'calibrated_score'];
const INTEGERS = ['frames', 'width', 'height', 'schema_version'];

/** Logits are the fp32 of the model; a file may have more bytes than 32 bits count. */
export function typeOfColumn(name: string): ColumnType {
  if (name === 'warnings') return 'texts';
  if (name.startsWith('logit_')) return 'float';
  if (name.startsWith('p_') || DOUBLES.includes(name)) return 'double';
  if (INTEGERS.includes(name)) return 'integer';
  return name === 'file_size' ? 'long' : 'text';
}

/** Every field, in every row. */
export const FULL_LAYOUT: ResultLayout = {
  kind: 'full',
  names: [],
  columns: CSV_COLUMNS.map((name) => ({ name, type: typeOfColumn(name) })),
  cellsOf,
  jsonOf: (outcome) => JSON.stringify(outcome),
};

/**
 * These fields in this order, under the names by which they were asked for; null, or an empty cell, where an outcome
 * has no such field. In tables an object has a column for each of its values.
 */
export function fieldsLayout(names: readonly string[]): ResultLayout {
  const columns = columnsOf(names);
  return {
    kind: 'fields',
    names,
    columns,
    cellsOf: (outcome) =>
      Object.fromEntries(columns.map(({ name }) => [name, (fieldOf(outcome, name) ?? undefined) as Cell | undefined])),
    jsonOf: (outcome) => JSON.stringify(Object.fromEntries(names.map((name) => [name, fieldOf(outcome, name)]))),
  };
}
