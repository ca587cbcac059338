import { basename, posix, resolve } from 'node:path';
import { QalignError } from '../../base/errors.js';

/** Whether a name is an address of object storage, `s3://BUCKET/KEY`. */
export const isS3 = (name: string): boolean => name.startsWith('s3://');

/** @throws QalignError USAGE for an address without a bucket */
export function parseS3(uri: string): { readonly bucket: string; readonly key: string } {
  const [, bucket, key = ''] = /^s3:\/\/([^/]+)(?:\/(.*))?$/s.exec(uri) ?? [];
  if (bucket === undefined)
    throw new QalignError('USAGE', `${uri} is not an address of object storage; write s3://BUCKET/KEY.`);
  return { bucket, key };
}

/** How the samples of a shard are stored. */
export type ShardKind = 'tar' | 'tar.gz' | 'parquet' | 'jsonl';
/** Formats of results. */
export type ShardFormat = 'parquet' | 'jsonl';

const ENDINGS: readonly (readonly [string, ShardKind])[] = [
  ['.tar.gz', 'tar.gz'],
  ['.tgz', 'tar.gz'],
  ['.tar', 'tar'],
  ['.parquet', 'parquet'],
  ['.jsonl', 'jsonl'],
  ['.ndjson', 'jsonl'],
];

const endingOf = (name: string): (typeof ENDINGS)[number] | undefined =>
  ENDINGS.find(([ending]) => name.toLowerCase().endsWith(ending));

/** @throws QalignError USAGE for an unknown ending */
export function kindOfShard(name: string): ShardKind {
  const found = endingOf(name);
  if (found !== undefined) return found[1];
  throw new QalignError(
    'USAGE',
    `${name} is no shard by its ending; shards end in ${ENDINGS.map(([ending]) => ending).join(', ')}.`,
  );
}

/** Files that a run over shards writes: results, what they say of themselves, key lists and lists of shards. */
const OWN =
  /(?:\.scores\.parquet|\.scores\.jsonl(?:\.meta\.json)?|\.keep\.txt)$|^qalign-manifest(?:-\d+-of-\d+)?\.jsonl$/;

/** Whether a run over shards writes files with such a name, so that it is no shard. */
export const isOwnName = (name: string): boolean => OWN.test(basename(name));

/**
 * A local name without `.` and `//`; keys of object storage stay as they are. `..` stays behind a folder, because the
 * folder can be a link.
 */
export const plainName = (name: string): string =>
  isS3(name) ? name : name.replaceAll(/\/(?:\.?\/)+/g, '/').replace(/^\.\//, '');

/** The absolute form of a local name, which is the same for all its spellings. */
export function placeOf(name: string): string {
  const plain = plainName(name);
  if (isS3(plain) || plain.startsWith('/')) return plain;
  const [up = ''] = /^(?:\.\.\/)*/.exec(plain) ?? [];
  return below(resolve(up), plain.slice(up.length));
}

/** The folder that all names are in, with a slash at its end; empty for names without a common folder. */
export function commonFolder(names: readonly string[]): string {
  const folders = names.map((name) => name.slice(0, name.lastIndexOf('/') + 1));
  let common = folders[0] ?? '';
  for (const folder of folders) while (!folder.startsWith(common)) common = common.replace(/[^/]*\/$/, '');
  return common === 's3://' ? '' : common;
}

/**
 * Name of the result of a shard below the output folder. It is the name of the shard below the common folder of all
 * shards, with another ending. `..` in a name is resolved.
 *
 * @param folder see `commonFolder`; default: the folder of the shard itself
 */
export function outputName(shard: string, format: ShardFormat, folder?: string): string {
  const inner = folder === undefined ? basename(shard) : shard.slice(folder.length).replace(/^s3:\/\//, '');
  const [ending = ''] = endingOf(inner) ?? [];
  const place = posix.normalize(`/${inner.slice(0, inner.length - ending.length)}`).slice(1);
  return `${place}.scores.${format}`;
}

/** Joins a folder, local or `s3://`, and a name below it. */
export const below = (folder: string, name: string): string => `${folder.replace(/\/+$/, '')}/${name}`;
