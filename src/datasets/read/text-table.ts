import { parse } from 'csv-parse/sync';
import { basename } from 'node:path';
import { QalignError } from '../../base/errors.js';
import type { Reach } from '../../base/files/reach.js';
import { readLines } from './text.js';
import { cellOf, isBlank, type ReadTable, type Table, type TableRow } from './table.js';
import { TextRow } from './text-row.js';

const MAX_COLUMNS = 10_000;
/** A quoted cell with more lines counts as unclosed. */
const MAX_QUOTED_LINES = 1000;

/**
 * Reads a table from a text file. Lines without quotes are split when their cells are read; csv-parse parses the
 * others.
 */
export const readTextTable: ReadTable = async (path, layout, within) => {
  const file = basename(path);
  const stated = await statedDelimiter(path, within);
  const delimiter = stated ?? layout.delimiter ?? ',';
  const skip = Math.max(layout.skip_rows ?? 0, stated === undefined ? 0 : 1);
  const all = (): AsyncGenerator<TableRow[]> => splitRows(path, { delimiter, skip, within });
  if (layout.header === false) return { file, header: undefined, binary: false, delimiter, rows: all };
  const header = await firstRow(all());
  if (header === undefined)
    throw new QalignError('DATASET_EMPTY', `${file} is empty; it needs a header and rows of ratings.`);
  const rows = (): AsyncGenerator<TableRow[]> =>
    withinHeader(withoutFirst(all()), header.cells.length, file, delimiter);
  return { file, header: header.cells, binary: false, delimiter, rows } satisfies Table;
};

/** The separator from a first line such as `sep=;`, which Excel uses. That line is not part of the table. */
async function statedDelimiter(path: string, within: Reach | undefined): Promise<string | undefined> {
  const line = (await firstLines(path, 1, within))[0] ?? '';
  const said = /^\s*"?sep=(\\t|[^"])"?\1*\s*$/i.exec(line)?.[1];
  return said === '\\t' ? '\t' : said;
}

/** The first lines of a text file, at most `count`. */
export async function firstLines(path: string, count: number, within?: Reach): Promise<readonly string[]> {
  const found: string[] = [];
  for await (const { lines } of readLines(path, within)) {
    found.push(...lines.slice(0, count - found.length));
    if (found.length === count) break;
  }
  return found;
}

async function firstRow(batches: AsyncIterable<TableRow[]>): Promise<TableRow | undefined> {
  for await (const [row] of batches) if (row !== undefined) return row;
  return undefined;
}

async function* withoutFirst(batches: AsyncIterable<TableRow[]>): AsyncGenerator<TableRow[]> {
  let dropped = false;
  for await (const batch of batches) {
    yield dropped ? batch : batch.slice(1);
    dropped ||= batch.length > 0;
  }
}

/**
 * Refuses rows with more cells than the header, because their cells are shifted. Causes are decimal commas in a CSV
 * file, or row names from R.
 */
async function* withinHeader(
  batches: AsyncIterable<TableRow[]>,
  columns: number,
  file: string,
  delimiter: string,
): AsyncGenerator<TableRow[]> {
  for await (const batch of batches) {
    const long = batch.find((row) => cellOf(row, columns) !== undefined && row.cells.slice(columns).some(Boolean));
    if (long !== undefined)
      throw new QalignError(
        'DATASET_COLUMNS',
        `${file}:${long.row}: the row has ${long.cells.length} columns and the header ${columns}; quote cells that contain the separator ${JSON.stringify(delimiter)}, or name every column.`,
      );
    yield batch;
  }
}

async function* splitRows(
  path: string,
  { delimiter, skip, within }: { delimiter: string; skip: number; within: Reach | undefined },
): AsyncGenerator<TableRow[]> {
  const file = basename(path);
  const blank = blankLine(delimiter);
  let open: { text: string; row: number; lines: number } | undefined;
  for await (const { lines, first } of readLines(path, within)) {
    const rows: TableRow[] = [];
    for (let i = 0; i < lines.length; i++) {
      const line = lines[i]!;
      const row = first + i;
      if (row <= skip) continue;
      if (open === undefined && (delimiter === ' ' || !line.includes('"'))) {
        if (blank.test(line)) continue;
        rows.push(checked(new TextRow(line, delimiter, row), file));
        continue;
      }
      open =
        open === undefined
          ? { text: line, row, lines: 1 }
          : { text: `${open.text}\n${line}`, row: open.row, lines: open.lines + 1 };
      if (quotes(open.text) % 2 === 1) {
        if (open.lines > MAX_QUOTED_LINES) throw unclosed(file, open.row);
        continue;
      }
      const quoted = { cells: parseQuoted(open.text, delimiter, file, open.row), row: open.row };
      if (!isBlank(quoted)) rows.push(checked(quoted, file));
      open = undefined;
    }
    yield rows;
  }
  if (open !== undefined) throw unclosed(file, open.row);
}

/** Matches a line of only separators and spaces, which spreadsheets write for empty rows. */
function blankLine(delimiter: string): RegExp {
  return new RegExp(`^[\\s${delimiter.replace(/[\\\]^-]/g, '\\$&')}]*$`);
}

function parseQuoted(text: string, delimiter: string, file: string, row: number): string[] {
  try {
    const [cells] = parse(text, { delimiter, relax_column_count: true, trim: true });
    return cells ?? [];
  } catch (cause) {
    throw new QalignError(
      'DATASET_UNREADABLE',
      `${file}:${row}: the quotes are not valid in a table with the separator ${JSON.stringify(delimiter)}: ${(cause as Error).message}`,
      { cause },
    );
  }
}

function checked(row: TableRow, file: string): TableRow {
  // a shorter line cannot have that many separators
  if (row instanceof TextRow && row.line.length < MAX_COLUMNS) return row;
  if (row.cells.length > MAX_COLUMNS)
    throw new QalignError(
      'DATASET_COLUMNS',
      `${file}:${row.row}: the row has ${row.cells.length} columns; the maximum is ${MAX_COLUMNS}.`,
    );
  return row;
}

function quotes(text: string): number {
  let n = 0;
  for (let at = text.indexOf('"'); at !== -1; at = text.indexOf('"', at + 1)) n++;
  return n;
}

function unclosed(file: string, row: number): QalignError {
  return new QalignError(
    'DATASET_UNREADABLE',
    `${file}:${row}: a quoted cell starts here and is not closed; add the closing quote.`,
  );
}
