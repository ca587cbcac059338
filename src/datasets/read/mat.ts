import { basename } from 'node:path';
import { QalignError } from '../../base/errors.js';
import { holdFile, type Reach } from '../../base/files/reach.js';
import { readMatV5, type MatArray } from './mat-v5.js';
import { pythonDigits } from '../rating.js';
import { readLabels } from './text.js';
import { isBlank, tableOf, type ReadTable } from './table.js';

/**
 * Reads a MAT-file as a table. Its columns are the arrays with the length of the longest named column. A file with a
 * single matrix of strings becomes a table without a header. Version 7.3 files (HDF5) are read by h5wasm.
 */
export const readMat: ReadTable = async (path, layout, within) => {
  const file = basename(path);
  const arrays = await load(path, file, within);
  const [only] = arrays;
  const wanted = Object.values(layout.columns ?? {}).flat();
  // a single row of texts is a column if the layout names it
  if (
    arrays.length === 1 &&
    only !== undefined &&
    (only.dims[1] ?? 1) > 1 &&
    typeof only.data[0] === 'string' &&
    !wanted.includes(only.name)
  )
    return matrixTable(file, only);
  const length = Math.max(0, ...arrays.filter(({ name }) => wanted.includes(name)).map(({ data }) => data.length));
  const columns = arrays.filter(({ data }) => data.length === length && length > 0);
  const rows = Array.from({ length }, (_, i) => ({ cells: columns.map(({ data }) => cellOf(data[i])), row: i + 1 }));
  return tableOf(
    file,
    columns.length > 0 ? columns.map(({ name }) => name) : arrays.map(({ name }) => name),
    rows.filter((row) => !isBlank(row)),
    true,
  );
};

function matrixTable(file: string, { dims, data }: MatArray): Awaited<ReturnType<ReadTable>> {
  const [rows = 0, columns = 0] = dims;
  const at = (row: number, column: number): string => cellOf(data[column * rows + row]);
  const body = Array.from({ length: rows }, (_, row) => ({
    cells: Array.from({ length: columns }, (_, column) => at(row, column)),
    row: row + 1,
  })).filter((row) => !isBlank(row));
  return tableOf(file, undefined, body, true);
}

function cellOf(value: unknown): string {
  if (typeof value === 'string') return value.trim();
  return typeof value === 'number' && !Number.isNaN(value) ? pythonDigits(value) : ''; // NaN marks an empty cell
}

const HDF5_SIGNATURE = Buffer.from('\x89HDF\r\n\x1a\n', 'latin1');

async function load(path: string, file: string, within: Reach | undefined): Promise<MatArray[]> {
  const bytes = await readLabels(path, within);
  try {
    if (bytes.toString('latin1', 0, 10) !== 'MATLAB 7.3') return readMatV5(bytes);
    // checked first, because the library prints its own messages for other files
    if (bytes.indexOf(HDF5_SIGNATURE) < 0) throw new Error('its header names version 7.3, but it is not an HDF5 file');
    const held = holdFile(path, within);
    return await readHdf5(held.path).finally(() => held.close());
  } catch (cause) {
    if (cause instanceof QalignError) throw cause;
    throw new QalignError('DATASET_UNREADABLE', `${file} cannot be read as a MAT-file: ${(cause as Error).message}.`, {
      cause,
    });
  }
}

/**
 * Reads the top-level arrays of a 7.3 file: numbers, and cells of texts. Cells are references to arrays of UTF-16
 * codes.
 */
async function readHdf5(path: string): Promise<MatArray[]> {
  const h5 = await import('h5wasm/node');
  await h5.ready;
  const file = new h5.File(path, 'r');
  try {
    return file.keys().flatMap((name): MatArray[] => {
      const entry = file.get(name);
      if (!(entry instanceof h5.Dataset) || name.startsWith('#')) return [];
      const value = entry.value;
      if (typeof value !== 'object' || value === null || !('length' in value)) return [];
      const dims = [...(entry.shape ?? [])].reverse();
      const data = Array.from(value as ArrayLike<unknown>, (item) => {
        if (!(item instanceof h5.Reference)) return Number(item);
        const target: unknown = file.dereference(item);
        return target instanceof h5.Dataset ? textOf(target.value) : '';
      });
      return [{ name, dims, data }];
    });
  } finally {
    file.close();
  }
}

function textOf(value: unknown): string {
  return ArrayBuffer.isView(value) ? String.fromCharCode(...(value as unknown as number[])) : '';
}
