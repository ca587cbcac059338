import { basename } from 'node:path';
import type { AsyncBuffer, FileMetaData } from 'hyparquet';
import { QalignError } from '../../../base/errors.js';
import type { Stores } from '../store/store.js';
import { KEY_FIELDS, keyOf } from './key.js';
import { NAME_FIELDS } from './manifest-lines.js';
import { openNamed } from './open-named.js';
import {
  sampleOfBytes,
  failedSample,
  tooLarge,
  withoutKey,
  type PendingSample,
  type ReadOptions,
  type Sample,
} from './sample.js';

/** Columns that can hold the bytes of a picture or clip, alone or as `{bytes, path}` of Hugging Face. */
const BYTE_FIELDS = ['image', 'img', 'picture', 'video', 'bytes', 'image_bytes', 'jpg', 'jpeg', 'png', 'webp', 'mp4'];
/** Columns of paths or URLs beside a column of bytes. */
const PATH_FIELDS = NAME_FIELDS.filter((name) => !BYTE_FIELDS.includes(name));
/** Rows that are read in one request; a column chunk that has no index of its pages is read whole. */
const ROWS = 64;

type Row = Readonly<Record<string, unknown>>;

/**
 * Reads a Parquet shard with the bytes of pictures, or with their paths or URLs, by ranges of the file. Without a
 * column for keys, the path is the key, or else the number of the row.
 *
 * @throws QalignError SHARD_DAMAGED, also for a table without such a column
 */
export async function* readParquetRows(
  shard: string,
  byteLength: number,
  stores: Stores,
  options: ReadOptions,
): AsyncGenerator<PendingSample, void, undefined> {
  const { parquetMetadataAsync, parquetReadObjects, parquetSchema } = await import('hyparquet');
  const { compressors } = await import('hyparquet-compressors');
  const store = await stores.of(shard);
  const file: AsyncBuffer = {
    byteLength,
    slice: async (start, end = byteLength) => {
      const from = start < 0 ? byteLength + start : start;
      const bytes = await store.read(shard, from, end);
      return bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength) as ArrayBuffer;
    },
  };
  const metadata = await parquetMetadataAsync(file).catch((cause: unknown) => {
    throw damaged(shard, cause);
  });
  const header = parquetSchema(metadata).children.map((child) => child.element.name);
  const media = [...BYTE_FIELDS, ...NAME_FIELDS].find((name) => header.includes(name));
  if (media === undefined)
    throw new QalignError(
      'SHARD_DAMAGED',
      `${shard} has no column of pictures (${header.join(', ')}); name one of ${BYTE_FIELDS.join(', ')} (bytes) or ${NAME_FIELDS.join(', ')} (paths or URLs).`,
    );
  const key =
    KEY_FIELDS.find((name) => header.includes(name)) ??
    (BYTE_FIELDS.includes(media) ? PATH_FIELDS.find((name) => header.includes(name)) : undefined);
  const columns = [...new Set([media, ...(key === undefined ? [] : [key])])];
  for (const [rowStart, rowEnd] of ranges(metadata)) {
    const rows: Row[] = await parquetReadObjects({
      ...{ file, metadata, compressors, columns, rowStart, rowEnd },
      utf8: false,
      useOffsetIndex: true,
    }).catch((cause: unknown) => {
      throw damaged(shard, cause);
    });
    for (const [at, row] of rows.entries()) {
      if (key !== undefined && row[key] instanceof Uint8Array)
        throw new QalignError(
          'SHARD_DAMAGED',
          `The column ${key} of ${shard} has bytes, which cannot be a key; write it as a column of texts.`,
        );
      yield {
        bytes: contentOf(row[media]).bytes?.length ?? 0,
        open: () => sampleOf(row, media, shard, rowStart + at, stores, options),
      };
    }
  }
}

/** Row ranges within row groups. */
function* ranges({ row_groups: groups }: FileMetaData): Generator<readonly [number, number]> {
  let start = 0;
  for (const group of groups) {
    const end = start + Number(group.num_rows);
    // without an index of pages, each range would read the column chunk of its group again
    const step = group.columns.every((column) => column.offset_index_offset !== undefined) ? ROWS : end - start;
    for (let at = start; at < end; at += step) yield [at, Math.min(end, at + step)];
    start = end;
  }
}

async function sampleOf(
  row: Row,
  media: string,
  shard: string,
  at: number,
  stores: Stores,
  options: ReadOptions,
): Promise<Sample> {
  const { bytes, name } = contentOf(row[media]);
  const path = name ?? pathBeside(row, media);
  const input = path ?? `${basename(shard)}#${at}`;
  const found = keyOf(row, path ?? String(at));
  if ('why' in found) return withoutKey(shard, input, `Row ${at} (counted from 0)`, found.why);
  const { key } = found;
  if (bytes !== undefined)
    return bytes.length > options.most
      ? failedSample(key, input, tooLarge(input, bytes.length, options.most))
      : sampleOfBytes(key, input, bytes);
  if (name !== undefined) return openNamed(key, name, shard, stores, options);
  const error = new QalignError('MEDIA_NOT_FOUND', `Row ${at} of ${shard} has no picture or clip in ${media}.`);
  return failedSample(key, input, error);
}

/** The path or URL beside a column of bytes; undefined without one. */
function pathBeside(row: Row, media: string): string | undefined {
  const field = PATH_FIELDS.find((name) => name !== media && Object.hasOwn(row, name));
  const path = field === undefined ? undefined : row[field];
  return typeof path === 'string' && path !== '' ? path : undefined;
}

/** The bytes or the name of a cell: bytes, a text, or an object of both. */
function contentOf(cell: unknown): { readonly bytes?: Uint8Array | undefined; readonly name?: string | undefined } {
  if (cell instanceof Uint8Array) return { bytes: cell };
  if (typeof cell === 'string') return cell === '' ? {} : { name: cell };
  if (typeof cell !== 'object' || cell === null) return {};
  const { bytes, path } = cell as { readonly bytes?: unknown; readonly path?: unknown };
  return {
    ...(bytes instanceof Uint8Array ? { bytes } : {}),
    ...(typeof path === 'string' && path !== '' ? { name: path } : {}),
  };
}

function damaged(shard: string, cause: unknown): QalignError {
  if (cause instanceof QalignError) return cause;
  const { message } = cause as Error;
  return new QalignError('SHARD_DAMAGED', `${shard} cannot be read as a Parquet file: ${message}.`, { cause });
}
