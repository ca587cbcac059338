import type { Reach } from '../../base/files/reach.js';
import type { LabelFile } from '../spec.js';

export interface TableRow {
  readonly cells: readonly string[];
  /** Line number in text files, row number in workbooks, index from 1 in lists. */
  readonly row: number;
  /** One of the cells, and some of them as whole numbers, where that is cheaper than all cells. */
  cell?(index: number): string | undefined;
  integers?(index: number, count: number): number[] | undefined;
}

/** A cell by its place from 0. */
export function cellOf(row: TableRow, index: number): string | undefined {
  return row.cell === undefined ? row.cells[index] : row.cell(index);
}

/** Spreadsheets write rows without a word, which every format leaves out. A cell of blanks is empty. */
export function isBlank(row: TableRow): boolean {
  return row.cells.every((cell) => cell.trim() === '');
}

/** A table whatever it was stored as. Cells are texts; `binary` says that numbers were stored as doubles. */
export interface Table {
  readonly file: string;
  readonly header: readonly string[] | undefined;
  readonly binary: boolean;
  /** What parts the cells of a text table. */
  readonly delimiter?: string;
  rows(): AsyncIterable<readonly TableRow[]>;
}

/** `within`: where the opened file must lie; anywhere by default. */
export type ReadTable = (
  path: string,
  layout: Partial<Pick<LabelFile, 'delimiter' | 'header' | 'sheet' | 'skip_rows' | 'columns'>>,
  within?: Reach,
) => Promise<Table>;

/** A table that is held in memory. */
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
