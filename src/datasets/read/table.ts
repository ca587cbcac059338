import type { Reach } from '../../base/files/reach.js';
import type { LabelFile } from '../spec.js';

export interface TableRow {
  readonly cells: readonly string[];
  /** Line number in text files, row number in workbooks, index from 1 in lists. */
  readonly row: number;
  /** Reads one cell, if that is cheaper than splitting the whole row. */
  cell?(index: number): string | undefined;
  integers?(index: number, count: number): number[] | undefined;
}

/** A cell by its index from 0. */
export function cellOf(row: TableRow, index: number): string | undefined {
  return row.cell === undefined ? row.cells[index] : row.cell(index);
}

/** Whether all cells are empty or spaces. Spreadsheets write such rows, and all readers skip them. */
export function isBlank(row: TableRow): boolean {
  return row.cells.every((cell) => cell.trim() === '');
}

/** A table of any file format. Cells are texts. `binary` is true if numbers were stored as doubles. */
export interface Table {
  readonly file: string;
  readonly header: readonly string[] | undefined;
  readonly binary: boolean;
  /** Separator of a text table. */
  readonly delimiter?: string;
  rows(): AsyncIterable<readonly TableRow[]>;
}

/** Reads a table. `within` is the allowed location of the opened file; default: anywhere. */
export type ReadTable = (
  path: string,
  layout: Partial<Pick<LabelFile, 'delimiter' | 'header' | 'sheet' | 'skip_rows' | 'columns'>>,
  within?: Reach,
) => Promise<Table>;

/** Creates a table from rows in memory. */
export function tableOf(
  file: string,
  header: readonly string[] | undefined,
  rows: readonly TableRow[],
  binary: boolean,
): Table {
  return {
    file,
    header,
    binary,
    async *rows() {
      yield rows;
    },
  };
}
