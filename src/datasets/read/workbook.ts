import { basename } from 'node:path';
import { QalignError } from '../../base/errors.js';
import { pythonDigits } from '../rating.js';
import { readLabels } from './text.js';
import { isBlank, tableOf, type ReadTable, type TableRow } from './table.js';

/** Reads a sheet of an .xlsx workbook, by default the first. */
export const readWorkbook: ReadTable = async (path, layout, within) => {
  const file = basename(path);
  const sheets = await load(await readLabels(path, within), file);
  const sheet = layout.sheet === undefined ? sheets[0] : sheets.find(({ sheet: name }) => name === layout.sheet);
  if (sheet === undefined)
    throw new QalignError(
      'DATASET_COLUMNS',
      `${file} has no sheet "${layout.sheet}"; its sheets are ${sheets.map((s) => s.sheet).join(', ')}.`,
    );
  const rows = sheet.data
    .map((cells, index): TableRow => ({ cells: cells.map(cellOf), row: index + 1 }))
    .filter((row) => row.row > (layout.skip_rows ?? 0) && !isBlank(row));
  if (layout.header === false) return tableOf(file, undefined, rows, true);
  const [header, ...body] = rows;
  if (header === undefined)
    throw new QalignError(
      'DATASET_EMPTY',
      `${file}: the sheet ${sheet.sheet} is empty; it needs a header and rows of ratings.`,
    );
  return tableOf(file, header.cells, body, true);
};

async function load(bytes: Buffer, file: string): Promise<{ sheet: string; data: unknown[][] }[]> {
  const { default: readXlsxFile } = await import('read-excel-file/node');
  try {
    return await readXlsxFile(bytes);
  } catch (cause) {
    throw new QalignError('DATASET_UNREADABLE', `${file} cannot be read as a workbook: ${(cause as Error).message}.`, {
      cause,
    });
  }
}

function cellOf(cell: unknown): string {
  if (cell === null || cell === undefined) return '';
  if (typeof cell === 'number') return pythonDigits(cell);
  if (typeof cell === 'string') return cell.trim();
  return cell instanceof Date ? cell.toISOString() : JSON.stringify(cell);
}
