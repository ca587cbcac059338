import { asyncBufferFromFile, parquetMetadataAsync, parquetReadObjects } from 'hyparquet';
import { compressors } from 'hyparquet-compressors';
import { expandRow, type CompactMeta } from '../score/layout/compact.js';
import type { Fields } from '../score/layout/recognise.js';
import { invalid, type ResultsReader } from './stored-results.js';

/** Reads a Parquet file by row group, so that memory holds one group. @throws QalignError RESULTS_INVALID */
export async function openParquetResults(path: string): Promise<ResultsReader> {
  const failed = (cause: unknown): never => {
    throw invalid(
      `${path} is not a readable Parquet file (${(cause as Error).message}); name a file that "qalign score --out" wrote.`,
      cause,
    );
  };
  const file = await asyncBufferFromFile(path);
  const metadata = await parquetMetadataAsync(file).catch(failed);
  const meta = compactMeta(metadata.key_value_metadata ?? []);
  const read = async (rowStart: number, rowEnd: number): Promise<Fields[]> => {
    const options = { file, metadata, compressors, rowStart, rowEnd };
    const objects = await parquetReadObjects(options).catch(failed);
    return objects.map((object) => {
      const row = plain(object);
      return meta === undefined ? row : (expandRow(row, meta) ?? row);
    });
  };
  return {
    isCut: false,
    async *rows() {
      let start = 0;
      for (const group of metadata.row_groups) {
        const end = start + Number(group.num_rows);
        for (const fields of await read(start, end)) yield { fields, start: start++, length: 1 };
      }
    },
    row: async (start) => (await read(start, start + 1))[0] ?? {},
  };
}

/** Fields with values, as JSON values. */
function plain(row: Readonly<Record<string, unknown>>): Fields {
  const filled = Object.entries(row).filter(([, value]) => value !== null && value !== undefined);
  return Object.fromEntries(filled.map(([name, value]) => [name, typeof value === 'bigint' ? Number(value) : value]));
}

/** The shared fields of a compact file, which its metadata holds. */
function compactMeta(
  pairs: readonly { readonly key: string; readonly value?: string | undefined }[],
): CompactMeta | undefined {
  const value = pairs.find(({ key }) => key === 'qalign')?.value;
  if (value === undefined) return undefined;
  try {
    const meta = JSON.parse(value) as Partial<CompactMeta>;
    return meta.format === 'qalign-compact/1' ? (meta as CompactMeta) : undefined;
  } catch {
    return undefined;
  }
}
