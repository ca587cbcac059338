import { QalignError } from '../../base/errors.js';
import type { Fields } from '../score/layout/recognise.js';

/** A row where it was found. Reading it again needs only `start` and `length`. */
export interface FoundRow {
  readonly fields: Fields;
  /** Offset in bytes; in Parquet the number of the row, from 0. */
  readonly start: number;
  /** Length in bytes; in Parquet 1. */
  readonly length: number;
}

/** A results file of any format. */
export interface ResultsReader {
  /** Reads all rows in order, in constant memory. @throws QalignError RESULTS_INVALID with the line of a damaged row */
  rows(): AsyncIterable<FoundRow>;
  /** Reads one row again. */
  row(start: number, length: number): Promise<Fields>;
  /** True after `rows` if an incomplete last line was left out: its writer was killed, or still writes. */
  readonly isCut: boolean;
}

export const invalid = (message: string, cause?: unknown): QalignError =>
  new QalignError('RESULTS_INVALID', message, cause === undefined ? undefined : { cause });

/** The error for a damaged row. @param place its line or row with its number, from 1 */
export const notResult = (path: string, place: string, why: string): QalignError =>
  invalid(`${place} of ${path} is not a result (${why}); remove it, or name a file that "qalign score --out" wrote.`);
