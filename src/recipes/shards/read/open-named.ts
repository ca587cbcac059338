import { dirname, isAbsolute, join, resolve } from 'node:path';
import { QalignError } from '../../../base/errors.js';
import { openSource } from '../../../media/sources.js';
import { isS3 } from '../names.js';
import type { Stores } from '../store/store.js';
import { failedSample, sampleOfBytes, tooLarge, type ReadOptions, type Sample } from './sample.js';

const isUrl = (name: string): boolean => /^https?:\/\//i.test(name);

/**
 * Opens the media that a row names: a path, relative to the folder of its shard, an address of object storage, or a
 * URL. An error becomes the error of the sample. Errors of the storage are thrown.
 */
export async function openNamed(
  key: string,
  name: string,
  shard: string,
  stores: Stores,
  { allowUrls, most, signal }: ReadOptions,
): Promise<Sample> {
  if (isUrl(name)) return stable(key, name, await openSource(name, { allowUrls, signal, limits: { maxBytes: most } }));
  if (isS3(name)) return ofObject(key, name, name, stores, most);
  if (stores.guardsMedia === true && !isS3(shard)) {
    const place = isAbsolute(name) ? name : join(dirname(shard), name);
    return ofObject(key, name, place, stores, most);
  }
  if (!isS3(shard)) return stable(key, name, await openSource(resolve(dirname(shard), name), { signal }));
  const place = join(dirname(shard.slice('s3://'.length)), name)
    .split('\\')
    .join('/');
  if (isAbsolute(name) || place.split('/')[0] !== shard.split('/')[2])
    return failedSample(
      key,
      name,
      new QalignError(
        'MEDIA_NOT_FOUND',
        `${name} is not in the bucket of ${shard}; name media relative to their shard, or by s3://BUCKET/KEY.`,
      ),
    );
  return ofObject(key, name, `s3://${place}`, stores, most);
}

/** Errors of the named file, and not of the storage. */
const OF_ROW: readonly string[] = ['MEDIA_NOT_FOUND', 'MEDIA_UNREADABLE', 'MEDIA_TOO_LARGE', 'PATH_FORBIDDEN'];

async function ofObject(key: string, name: string, uri: string, stores: Stores, most: number): Promise<Sample> {
  try {
    const store = await stores.of(uri);
    const found = await store.stat(uri);
    if (found === undefined) throw new QalignError('MEDIA_NOT_FOUND', `${uri} does not exist.`);
    if (found.bytes > most) throw tooLarge(uri, found.bytes, most);
    return await sampleOfBytes(key, name, await store.read(uri, 0, found.bytes));
  } catch (error) {
    if (error instanceof QalignError && OF_ROW.includes(error.code)) return failedSample(key, name, error);
    throw error;
  }
}

/** Without the time of the file and the folder of this machine, so that a row is the same on every host. */
function stable(key: string, name: string, { identity, ...source }: Sample['source']): Sample {
  const bytes = source.media instanceof Uint8Array ? source.media.length : 0;
  return {
    key,
    source: { ...source, input: name, ...(identity === undefined ? {} : { identity: { bytes: identity.bytes } }) },
    bytes,
  };
}
