import { basename } from 'node:path';
import { QalignError } from '../../base/errors.js';
import { pythonDigits } from '../rating.js';
import { openLabels } from './text.js';
import { isBlank, type ReadTable, type TableRow } from './table.js';

/** Reads a Parquet file by row group. */
export const readParquet: ReadTable = async (path) => {
  const file = basename(path);
  await (await openLabels(path)).close();
  const { asyncBufferFromFile, parquetMetadataAsync, parquetReadObjects, parquetSchema } = await import('hyparquet');
  const { compressors } = await import('hyparquet-compressors');
  const failed = (cause: unknown): QalignError =>
    new QalignError('DATASET_UNREADABLE', `${file} cannot be read as a Parquet file: ${(cause as Error).message}.`, {
      cause,
    });
  try {
    const buffer = await asyncBufferFromFile(path);
    const metadata = await parquetMetadataAsync(buffer);
    const header = parquetSchema(metadata).children.map((child) => child.element.name);
    return {
      file,
      header,
      binary: true,
      async *rows() {
        let rowStart = 0;
        for (const group of metadata.row_groups) {
          const rowEnd = rowStart + Number(group.num_rows);
          const objects = await parquetReadObjects({ file: buffer, metadata, compressors, rowStart, rowEnd }).catch(
            (cause: unknown) => {
              throw failed(cause);
            },
          );
          const start = rowStart;
          const rows = objects.map((object, index): TableRow => ({
            cells: header.map((name) => cellOf(object[name])),
            row: start + index + 1,
          }));
          yield rows.filter((row) => !isBlank(row));
          rowStart = rowEnd;
        }
      },
    };
  } catch (cause) {
    throw failed(cause);
  }
};

function cellOf(cell: unknown): string {
  if (cell === null || cell === undefined || Number.isNaN(cell)) return ''; // pandas writes empty cells as NaN
  if (typeof cell === 'number') return pythonDigits(cell);
  if (typeof cell === 'string') return cell;
  if (typeof cell === 'bigint') return cell.toString();
  return JSON.stringify(cell, (_, value: unknown) => (typeof value === 'bigint' ? Number(value) : value)) ?? '';
}
