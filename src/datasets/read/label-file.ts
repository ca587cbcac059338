import { basename, dirname, join } from 'node:path';
import { QalignError } from '../../base/errors.js';
import type { Reach } from '../../base/files/reach.js';
import type { LabelFile } from '../spec.js';
import { readJsonTable } from './json.js';
import { readMat } from './mat.js';
import { readParquet } from './parquet.js';
import type { ReadTable, Table } from './table.js';
import { readTextTable } from './text-table.js';
import { readWorkbook } from './workbook.js';

const READERS: Readonly<Record<LabelFile['format'], ReadTable>> = {
  table: readTextTable,
  json: readJsonTable,
  xlsx: readWorkbook,
  mat: readMat,
  parquet: readParquet,
};

/**
 * Opens a label file by its layout, with the columns that are in other files.
 * @param within allowed location of the opened files; default: anywhere
 * @throws QalignError of the dataset family, PATH_FORBIDDEN
 */
export async function readLabelFile(path: string, layout: LabelFile, within: Reach | undefined): Promise<Table> {
  return withNeighbours(await READERS[layout.format](path, layout, within), path, layout, within);
}

/** Adds the columns of other files, or of a sequence of names, row by row in the same order. */
async function withNeighbours(
  table: Table,
  path: string,
  layout: LabelFile,
  within: Reach | undefined,
): Promise<Table> {
  const others = await Promise.all(
    Object.entries(layout.beside ?? {}).map(async ([name, other]) => ({
      name,
      file: other.file,
      values: await columnOf(join(dirname(path), other.file), other, within),
    })),
  );
  if (layout.sequence !== undefined) {
    const values = layout.sequence.flatMap(([pattern, count]) =>
      Array.from({ length: count }, (_, i) => pattern.replace('{}', String(i + 1))),
    );
    others.push({ name: 'sequence', file: 'the list of names', values });
  }
  if (others.length === 0) return table;
  // the width of a table without a header follows from the columns that are used
  const width =
    table.header?.length ??
    1 +
      Math.max(
        -1,
        ...Object.values(layout.columns)
          .flat()
          .filter((column) => typeof column === 'number'),
      );
  return {
    ...table,
    header: [...(table.header ?? Array.from({ length: width }, () => '')), ...others.map(({ name }) => name)],
    async *rows() {
      let index = 0;
      for await (const rows of table.rows()) {
        yield rows.map((row) => {
          const extra = others.map(
            ({ values, file }) => values[index] ?? lacking(table.file, row.row, file, values.length),
          );
          index++;
          return { ...row, cells: [...Array.from({ length: width }, (_, i) => row.cells[i] ?? ''), ...extra] };
        });
      }
      for (const { file, values } of others) {
        if (values.length !== index)
          throw new QalignError(
            'DATASET_COLUMNS',
            `${file} has ${values.length} rows and ${table.file} has ${index}; both need the same rows in the same order.`,
          );
      }
    },
  };
}

async function columnOf(
  path: string,
  { format = 'table', column, delimiter = ',' }: NonNullable<LabelFile['beside']>[string],
  within: Reach | undefined,
): Promise<string[]> {
  const table = await READERS[format](path, { header: false, delimiter, columns: { name: column } }, within);
  const index = typeof column === 'number' ? column : (table.header?.indexOf(column) ?? -1);
  if (index < 0)
    throw new QalignError(
      'DATASET_COLUMNS',
      `${basename(path)} has no array "${column}"; its arrays are ${table.header?.join(', ') || 'none'}.`,
    );
  const values: string[] = [];
  for await (const rows of table.rows()) values.push(...rows.map((row) => row.cells[index] ?? ''));
  return values;
}

function lacking(file: string, row: number, other: string, length: number): never {
  throw new QalignError(
    'DATASET_COLUMNS',
    `${file}:${row}: ${other} has only ${length} rows; both files need the same rows in the same order.`,
  );
}
