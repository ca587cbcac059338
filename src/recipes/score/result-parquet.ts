import type { SchemaElement } from 'hyparquet';
import { ByteWriter, ParquetWriter } from 'hyparquet-writer';
import { SCHEMA_VERSION } from '../../api/result.js';
import { openDraft, type OpenDraft } from '../../base/files/draft.js';
import { guardWrite } from '../../base/files/unwritable.js';
import { packageVersion } from '../../base/package-root.js';
import type { Column, ColumnType } from './layout/column.js';
import { emptyMeta, withOutcome, type CompactMeta } from './layout/compact.js';
import { FULL_LAYOUT, type ResultLayout } from './layout/layout.js';
import type { Cells } from './result-csv.js';
import type { ResultFile } from './result-file.js';
import { reasonOf } from '../../base/files/reason.js';

export interface ParquetOptions {
  readonly layout?: ResultLayout | undefined;
  readonly severalModels?: boolean | undefined;
  /** The draft to write, instead of one beside the file. */
  readonly draft?: (Pick<OpenDraft, 'file' | 'discard'> & { commit(): Promise<unknown> }) | undefined;
  /** Further metadata by key, asked for at the end. */
  readonly metadata?: (() => Readonly<Record<string, object>>) | undefined;
}

/** Rows per row group. They are held in memory until the group is written; readers read one group at a time. */
const GROUP_ROWS = 10_000;

type Physical = Omit<SchemaElement, 'name' | 'repetition_type'>;
const TEXT: Physical = { type: 'BYTE_ARRAY', converted_type: 'UTF8', logical_type: { type: 'STRING' } };
const SINGLE: Readonly<Record<Exclude<ColumnType, 'texts' | 'integers' | 'doubles'>, Physical>> = {
  text: TEXT,
  double: { type: 'DOUBLE' },
  float: { type: 'FLOAT' },
  integer: { type: 'INT32' },
  long: { type: 'INT64' },
  boolean: { type: 'BOOLEAN' },
};
const OF_LIST: Readonly<Record<'texts' | 'integers' | 'doubles', Physical>> = {
  texts: { type: 'BYTE_ARRAY', converted_type: 'UTF8' },
  integers: { type: 'INT32' },
  doubles: { type: 'DOUBLE' },
};

function elementsOf({ name, type }: Column): SchemaElement[] {
  const optional = { name, repetition_type: 'OPTIONAL' } as const;
  if (type === 'texts' || type === 'integers' || type === 'doubles')
    return [
      { ...optional, converted_type: 'LIST', logical_type: { type: 'LIST' }, num_children: 1 },
      { name: 'list', repetition_type: 'REPEATED', num_children: 1 },
      { name: 'element', repetition_type: 'OPTIONAL', ...OF_LIST[type] },
    ];
  return [{ ...optional, ...SINGLE[type] }];
}

/**
 * Opens a Parquet file that becomes visible only when `close` completes. Its metadata has the fields that all rows
 * share (model, prompt, preprocessing) as JSON under the key `qalign`. With several models these are a list `models`. A
 * compact file has them only there.
 *
 * @throws QalignError OUTPUT_UNWRITABLE
 */
export async function openParquetFile(
  path: string,
  { layout = FULL_LAYOUT, severalModels = false, draft: given, metadata = () => ({}) }: ParquetOptions = {},
): Promise<Pick<ResultFile, 'write' | 'close'> & { discard(): Promise<void> }> {
  const guard = <T>(work: () => Promise<T>): Promise<T> =>
    guardWrite(work, (error) => `${path} cannot be written (${reasonOf(error)}); its rows were discarded.`);
  const draft = given ?? (await guard(() => openDraft(path)));
  const columns = [...layout.columns, ...layout.lists];
  const bytes = new ByteWriter();
  const parquet = new ParquetWriter({
    writer: bytes,
    schema: [{ name: 'root', num_children: columns.length }, ...columns.flatMap(elementsOf)],
    createdBy: `qalign ${packageVersion}`,
  });
  let meta = emptyMeta([]);
  const describe = (): void => {
    const all = { qalign: described(meta, layout, severalModels), ...metadata() };
    parquet.kvMetadata = Object.entries(all).map(([key, value]) => ({ key, value: JSON.stringify(value) }));
  };
  describe();
  /** Writes the encoded bytes to the file, so that memory holds at most one group. */
  const flush = async (): Promise<void> => {
    await draft.file.writeFile(bytes.getBytes());
    bytes.index = 0;
  };
  // by column, because thousands of row objects would cost more time for memory than their encoding
  let held: unknown[][] = columns.map(() => []);
  let rows = 0;
  const writeGroup = async (): Promise<void> => {
    const columnData = columns.map(({ name }, at) => ({ name, data: held[at] as unknown[] }));
    held = columns.map(() => []);
    await parquet.write({ columnData, rowGroupSize: rows });
    await flush();
    rows = 0;
  };
  return {
    async write(outcomes) {
      for (const outcome of outcomes) {
        const before = meta;
        meta = withOutcome(meta, outcome);
        if (meta !== before) describe();
        const cells = layout.cellsOf(outcome);
        for (const [at, column] of columns.entries()) held[at]!.push(valueOf(column, cells));
        rows += 1;
      }
      if (rows >= GROUP_ROWS) await guard(writeGroup);
    },
    async close() {
      await guard(async () => {
        if (rows > 0) await writeGroup();
        describe();
        await parquet.finish();
        await flush();
        await draft.commit();
      });
    },
    discard: () => draft.discard(),
  };
}

function described(meta: CompactMeta, { kind }: ResultLayout, severalModels: boolean): object {
  if (kind === 'compact') return meta;
  const models = meta.models.map(({ v: _v, ...shared }) => shared);
  return { schema_version: SCHEMA_VERSION, ...(severalModels ? { models } : models[0]) };
}

function valueOf({ name, type }: Column, row: Cells): unknown {
  const value = row[name];
  if (value === undefined) return type === 'texts' ? [] : null;
  return type === 'long' ? BigInt(value as number) : value;
}
