import { open } from 'node:fs/promises';
import type { SchemaElement } from 'hyparquet';
import { ByteWriter, ParquetWriter } from 'hyparquet-writer';
import { isFailure, SCHEMA_VERSION, type ScoreOutcome } from '../../api/result.js';
import { draftOf, removeLeftovers } from '../../base/files/draft.js';
import { guardWrite } from '../../base/files/unwritable.js';
import { packageVersion } from '../../base/package-root.js';
import { CSV_COLUMNS, cellsOf, type Cells } from './result-csv.js';
import type { ResultFile } from './result-file.js';

/** Rows held until they are written as one row group; a reader takes a group at a time. */
const GROUP_ROWS = 10_000;

const DOUBLES = new Set(['score', 'level_mass', 'entropy', 'std', 'calibrated_score']);
const INTEGERS = new Set(['frames', 'width', 'height', 'schema_version']);

/** Columns of the CSV, typed: logits are the fp32 of the model, `warnings` a list, `file_size` 64 bits. */
function elementsOf(column: string): SchemaElement[] {
  const optional = { name: column, repetition_type: 'OPTIONAL' } as const;
  if (column === 'warnings')
    return [
      { ...optional, converted_type: 'LIST', logical_type: { type: 'LIST' }, num_children: 1 },
      { name: 'list', repetition_type: 'REPEATED', num_children: 1 },
      { name: 'element', repetition_type: 'OPTIONAL', type: 'BYTE_ARRAY', converted_type: 'UTF8' },
    ];
  if (column.startsWith('logit_')) return [{ ...optional, type: 'FLOAT' }];
  if (column.startsWith('p_') || DOUBLES.has(column)) return [{ ...optional, type: 'DOUBLE' }];
  if (INTEGERS.has(column)) return [{ ...optional, type: 'INT32' }];
  if (column === 'file_size') return [{ ...optional, type: 'INT64' }];
  return [{ ...optional, type: 'BYTE_ARRAY', converted_type: 'UTF8', logical_type: { type: 'STRING' } }];
}

const SCHEMA: SchemaElement[] = [
  { name: 'root', num_children: CSV_COLUMNS.length },
  ...CSV_COLUMNS.flatMap((column) => elementsOf(column)),
];

/**
 * A Parquet file that appears whole, at `close`, or not at all. What all rows share (model, prompt, preprocessing) also
 * stands once in its metadata, as JSON under the key `qalign`.
 *
 * @throws QalignError OUTPUT_UNWRITABLE
 */
export async function openParquetFile(
  path: string,
): Promise<Pick<ResultFile, 'write' | 'close'> & { discard(): Promise<void> }> {
  const draft = draftOf(path);
  const guard = <T>(work: () => Promise<T>): Promise<T> =>
    guardWrite(work, ({ message }) => `${path} cannot be written (${message}); nothing of it was kept.`);
  const file = await guard(async () => {
    await removeLeftovers(path);
    return open(draft.path, 'wx');
  });
  const bytes = new ByteWriter();
  const parquet = new ParquetWriter({
    writer: bytes,
    schema: SCHEMA,
    createdBy: `qalign ${packageVersion}`,
    kvMetadata: [{ key: 'qalign', value: JSON.stringify({ schema_version: SCHEMA_VERSION }) }],
  });
  /** What the writer has made of the rows so far goes to the file, so that no more than a group is in memory. */
  const flush = async (): Promise<void> => {
    await file.writeFile(bytes.getBytes());
    bytes.index = 0;
  };
  let held: Cells[] = [];
  const writeGroup = async (): Promise<void> => {
    const rows = held.length;
    const columnData = CSV_COLUMNS.map((name) => ({ name, data: held.map((row) => valueOf(name, row)) }));
    held = [];
    await parquet.write({ columnData, rowGroupSize: rows });
    await flush();
  };
  let described = false;
  return {
    async write(outcomes) {
      for (const outcome of outcomes) {
        if (!described && !isFailure(outcome)) {
          parquet.kvMetadata = [{ key: 'qalign', value: JSON.stringify(sharedBy(outcome)) }];
          described = true;
        }
        held.push(cellsOf(outcome));
      }
      if (held.length >= GROUP_ROWS) await guard(writeGroup);
    },
    async close() {
      await guard(async () => {
        if (held.length > 0) await writeGroup();
        await parquet.finish();
        await flush();
        await file.sync();
        await file.close();
        await draft.commit();
      });
    },
    async discard() {
      await file.close().catch(() => undefined);
      await draft.discard();
    },
  };
}

function sharedBy({ model, prompt, preprocessing, score_version, scale }: Exclude<ScoreOutcome, { error: unknown }>) {
  return { schema_version: SCHEMA_VERSION, score_version, scale, model, prompt, preprocessing };
}

function valueOf(column: keyof Cells, row: Cells): unknown {
  const value = row[column];
  if (value === undefined) return column === 'warnings' ? [] : null;
  return column === 'file_size' ? BigInt(value as number) : value;
}
