import type { ScoreOutcome } from '../../../api/result.js';
import { cellsOf, CSV_COLUMNS, type Cell, type Cells } from '../result-csv.js';
import type { Column, ColumnType } from './column.js';
import { columnsOf, fieldOf } from './fields.js';

/** The fields of the rows of a results file, for every file format. */
export interface ResultLayout {
  readonly kind: 'full' | 'fields' | 'compact';
  /** Field names of JSON rows for the kind `fields`; otherwise empty. */
  readonly names: readonly string[];
  /** Columns of CSV and Parquet files. */
  readonly columns: readonly Column[];
  cellsOf(outcome: ScoreOutcome): Cells;
  /** A JSON row on one line. */
  jsonOf(outcome: ScoreOutcome): string;
}

const DOUBLES = ['score', 'level_mass', 'entropy', 'std', 'calibrated_score'];
const INTEGERS = ['frames', 'width', 'height', 'schema_version'];

/** Logits are fp32 in the model, and a file can have more than 2³¹ bytes. */
export function typeOfColumn(name: string): ColumnType {
  if (name === 'warnings') return 'texts';
  if (name.startsWith('logit_')) return 'float';
  if (name.startsWith('p_') || DOUBLES.includes(name)) return 'double';
  if (INTEGERS.includes(name)) return 'integer';
  return name === 'file_size' ? 'long' : 'text';
}

/** All fields. */
export const FULL_LAYOUT: ResultLayout = {
  kind: 'full',
  names: [],
  columns: CSV_COLUMNS.map((name) => ({ name, type: typeOfColumn(name) })),
  cellsOf,
  jsonOf: (outcome) => JSON.stringify(outcome),
};

/**
 * The named fields, in this order and under these names. A field that an outcome does not have is null, or an empty
 * cell. In tables an object has one column per property.
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
