import { basename, posix } from 'node:path';
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

/** The folder that all names are in, with a slash at its end; empty for names without a common folder. */
export function commonFolder(names: readonly string[]): string {
  const folders = names.map((name) => name.slice(0, name.lastIndexOf('/') + 1));
  let common = folders[0] ?? '';
  for (const folder of folders)
    while (!folder.startsWith(common)) common = common.slice(0, common.lastIndexOf('/', common.length - 2) + 1);
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
