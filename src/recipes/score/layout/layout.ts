import type { ScoreOutcome } from '../../../api/result.js';
import { cellsOf, CSV_COLUMNS, CSV_CURVE_COLUMNS, type Cell, type Cells } from '../result-csv.js';
import type { Column, ColumnType } from './column.js';
import { columnsOf, fieldOf } from './fields.js';

/** The fields of the rows of a results file, for every file format. */
export interface ResultLayout {
  readonly kind: 'full' | 'fields' | 'compact';
  /** Field names of JSON rows for the kind `fields`; otherwise empty. */
  readonly names: readonly string[];
  /** Columns of CSV and Parquet files. */
  readonly columns: readonly Column[];
  /** Further columns of Parquet files, whose lists are too long for cells of CSV. */
  readonly lists: readonly Column[];
  /** The rows of clips have frame curves. */
  readonly withCurves: boolean;
  cellsOf(outcome: ScoreOutcome): Cells;
  /** A JSON row on one line. */
  jsonOf(outcome: ScoreOutcome): string;
}

const DOUBLES = ['score', 'level_mass', 'entropy', 'std', 'calibrated_score'];
const INTEGERS = ['frames', 'width', 'height', 'schema_version', 'frames_window'];
/** The points of a frame curve. */
const CURVE_LISTS: readonly Column[] = [
  { name: 'frames_times_s', type: 'doubles' },
  { name: 'frames_scores', type: 'doubles' },
];

/** Logits are fp32 in the model, and a file can have more than 2³¹ bytes. */
export function typeOfColumn(name: string): ColumnType {
  if (name === 'warnings') return 'texts';
  if (name.startsWith('logit_')) return 'float';
  if (name.startsWith('p_') || DOUBLES.includes(name)) return 'double';
  if (INTEGERS.includes(name)) return 'integer';
  if (name.startsWith('frames_')) return 'double';
  if (name === 'taught') return 'boolean';
  return name === 'file_size' ? 'long' : 'text';
}

/** The columns of tables whose rows have, or do not have, frame curves. `compact` and `full` choose from them. */
export const curveColumns = (
  withCurves: boolean,
): Pick<ResultLayout, 'lists' | 'withCurves'> & { names: readonly string[] } => ({
  names: withCurves ? CSV_CURVE_COLUMNS : CSV_COLUMNS,
  lists: withCurves ? CURVE_LISTS : [],
  withCurves,
});

/** All fields. */
export function fullLayout(withCurves = false): ResultLayout {
  const { names, ...curves } = curveColumns(withCurves);
  return {
    kind: 'full',
    names: [],
    columns: names.map((name) => ({ name, type: typeOfColumn(name) })),
    ...curves,
    cellsOf,
    jsonOf: (outcome) => JSON.stringify(outcome),
  };
}

/** All fields of rows without frame curves. */
export const FULL_LAYOUT: ResultLayout = fullLayout();

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
    lists: [],
    withCurves: names.some((name) => name.startsWith('frame_curve')),
    cellsOf: (outcome) =>
      Object.fromEntries(columns.map(({ name }) => [name, (fieldOf(outcome, name) ?? undefined) as Cell | undefined])),
    jsonOf: (outcome) => JSON.stringify(Object.fromEntries(names.map((name) => [name, fieldOf(outcome, name)]))),
  };
}
