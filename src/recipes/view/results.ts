import { existsSync } from 'node:fs';
import { basename, dirname, isAbsolute, resolve } from 'node:path';
import type { ViewItem, ViewRows, ViewRowsQuery, ViewSummary } from '../../api/view.js';
import { QalignError } from '../../base/errors.js';
import { isUrl } from '../../media/find/once.js';
import { mediaAt, pathFrom, type MediaInput } from '../../media/media-input.js';
import { openResults } from './results-reader.js';
import { createRowIndex, type RowPlace } from './row-index.js';
import { invalid, notResult } from './stored-results.js';
import { toStoredRow } from './view-row.js';

/** The rows of a results file, without a model. */
export interface Results {
  readonly summary: ViewSummary;
  rows(query: ViewRowsQuery): ViewRows;
  /** A row with all its fields. @throws QalignError RESULTS_INVALID if the file was rewritten */
  item(n: number): Promise<ViewItem>;
  /** The file of a row. @throws QalignError MEDIA_NOT_FOUND if the row names no file of this machine */
  media(n: number): MediaInput;
  close(): void;
}

export interface IndexOptions {
  readonly signal?: AbortSignal | undefined;
  /** Called every few thousand rows. */
  readonly onProgress?: ((rows: number) => void) | undefined;
}

const PROGRESS_ROWS = 5_000;

/**
 * Reads a results file of `qalign score` once and indexes its rows.
 * @throws QalignError RESULTS_NOT_FOUND; RESULTS_INVALID with the first damaged line; CANCELLED
 */
export async function indexResults(path: string, { signal, onProgress }: IndexOptions = {}): Promise<Results> {
  const reader = await openResults(path);
  const index = createRowIndex();
  try {
    let count = 0;
    for await (const { fields, start, length } of reader.rows()) {
      const row = toStoredRow(fields);
      count += 1;
      if (row === undefined) throw notResult(path, `Row ${count}`, 'it has no input, or neither a score nor an error');
      index.add(row, start, length);
      if (count % PROGRESS_ROWS !== 0) continue;
      onProgress?.(count);
      if (signal?.aborted === true) throw new QalignError('CANCELLED', 'It was cancelled.');
    }
    index.finish();
    if (count === 0)
      throw invalid(`${path} has no rows; name a file that "qalign score --out" wrote, with at least one result.`);
  } catch (error) {
    index.close();
    throw error;
  }
  const place = (n: number): RowPlace => {
    const found = index.place(n);
    if (found === undefined) throw new QalignError('RESULTS_NOT_FOUND', `There is no row ${n}; choose a lower number.`);
    return found;
  };
  return {
    summary: { name: basename(path), cut: reader.isCut, ...index.summary() },
    rows: (query) => index.rows(query),
    async item(n) {
      const { start, length } = place(n);
      return { row: index.row(n)!, fields: { ...(await reader.row(start, length)) } };
    },
    media: (n) => mediaOf(place(n), [process.cwd(), dirname(resolve(path))]),
    close: () => index.close(),
  };
}

/** Paths are relative to the folder of the command, as when they were scored, or to the folder of the file. */
function mediaOf({ input, input_base64 }: RowPlace, folders: readonly string[]): MediaInput {
  if (isUrl(input)) throw new QalignError('MEDIA_NOT_FOUND', 'The input is a URL, which "qalign view" does not fetch.');
  const name = input_base64 === null ? Buffer.from(input) : Buffer.from(input_base64, 'base64');
  const paths = isAbsolute(name.toString('latin1'))
    ? [name]
    : folders.map((folder) => Buffer.concat([Buffer.from(`${folder}/`), name]));
  const found = paths.find((path) => existsSync(path));
  if (found !== undefined) return mediaAt(pathFrom(found));
  throw new QalignError(
    'MEDIA_NOT_FOUND',
    `${input} does not exist; start "qalign view" in the folder of the scoring.`,
  );
}
