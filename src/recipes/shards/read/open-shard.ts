import { createGunzip } from 'node:zlib';
import { pipeline } from 'node:stream/promises';
import { PassThrough } from 'node:stream';
import { QalignError } from '../../../base/errors.js';
import { kindOfShard } from '../names.js';
import type { Stored, Stores } from '../store/store.js';
import { readManifestLines } from './manifest-lines.js';
import { readParquetRows } from './parquet-rows.js';
import type { PendingSample, ReadOptions } from './sample.js';
import { readWebDataset } from './web-dataset.js';

/**
 * Reads the samples of a shard in order, as a stream.
 *
 * @throws QalignError SHARD_DAMAGED with the place, STORAGE_FAILED, STORAGE_REFUSED
 */
export async function* openShard(
  shard: string,
  { bytes }: Stored,
  stores: Stores,
  options: ReadOptions,
): AsyncGenerator<PendingSample, void, undefined> {
  const store = await stores.of(shard);
  const kind = kindOfShard(shard);
  if (kind === 'parquet') yield* readParquetRows(shard, bytes, stores, options);
  else if (kind === 'jsonl') yield* readManifestLines(store.stream(shard), shard, stores, options);
  else {
    const chunks = store.stream(shard);
    const tar = kind === 'tar' ? chunks : unzipped(chunks, shard);
    for await (const sample of readWebDataset(tar, shard, options))
      yield { bytes: sample.bytes, open: async () => sample };
  }
}

async function* unzipped(
  chunks: AsyncIterable<Uint8Array>,
  shard: string,
): AsyncGenerator<Uint8Array, void, undefined> {
  const plain = new PassThrough({ highWaterMark: 1 << 20 });
  let failed: unknown;
  const done = pipeline(chunks, createGunzip(), plain).catch((error: unknown) => {
    failed = error;
  });
  try {
    yield* plain as AsyncIterable<Buffer>;
  } catch (error) {
    failed ??= error;
  } finally {
    plain.destroy();
    await done;
  }
  if (failed instanceof QalignError) throw failed;
  if (failed !== undefined)
    throw new QalignError('SHARD_DAMAGED', `${shard} cannot be decompressed (${(failed as Error).message}).`, {
      cause: failed,
    });
}
