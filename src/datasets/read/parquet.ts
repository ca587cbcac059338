import type { FileHandle } from 'node:fs/promises';
import { basename } from 'node:path';
import type { AsyncBuffer } from 'hyparquet';
import { QalignError } from '../../base/errors.js';
import type { Reach } from '../../base/files/reach.js';
import { pythonDigits } from '../rating.js';
import { openLabels } from './text.js';
import { isBlank, type ReadTable, type TableRow } from './table.js';

/** Reads a Parquet file by row group. */
export const readParquet: ReadTable = async (path, _layout, within) => {
  const file = basename(path);
  const { parquetMetadataAsync, parquetReadObjects, parquetSchema } = await import('hyparquet');
  const { compressors } = await import('hyparquet-compressors');
  const failed = (cause: unknown): QalignError =>
    cause instanceof QalignError
      ? cause
      : new QalignError(
          'DATASET_UNREADABLE',
          `${file} cannot be read as a Parquet file: ${(cause as Error).message}.`,
          {
            cause,
          },
        );
  try {
    const buffer = await openSlices(path, within);
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

/** Reads parts of a file, each through a separate descriptor. */
async function openSlices(path: string, within: Reach | undefined): Promise<AsyncBuffer> {
  const withFile = async <T>(use: (file: FileHandle) => Promise<T>): Promise<T> => {
    const file = await openLabels(path, within);
    return use(file).finally(() => file.close());
  };
  const byteLength = await withFile(async (file) => (await file.stat()).size);
  return {
    byteLength,
    slice: (start, end = byteLength) =>
      withFile(async (file) => {
        const bytes = new Uint8Array(Math.max(0, end - start));
        for (let at = 0; at < bytes.length;) {
          const { bytesRead } = await file.read(bytes, at, bytes.length - at, start + at);
          if (bytesRead === 0) throw new RangeError('it was truncated while it was read');
          at += bytesRead;
        }
        return bytes.buffer;
      }),
  };
}

function cellOf(cell: unknown): string {
  if (cell === null || cell === undefined || Number.isNaN(cell)) return ''; // pandas writes empty cells as NaN
  if (typeof cell === 'number') return pythonDigits(cell);
  if (typeof cell === 'string') return cell;
  if (typeof cell === 'bigint') return cell.toString();
  return JSON.stringify(cell, (_, value: unknown) => (typeof value === 'bigint' ? Number(value) : value)) ?? '';
}
