import { createHash } from 'node:crypto';
import { basename } from 'node:path';
import type { Store, Stored } from '../store/store.js';
import type { ShardMeta } from './shard-meta.js';

/** Bytes of each end of a file that are compared. */
const END_BYTES = 1 << 20;

/**
 * What tells a shard from another one of the same name. A file has the hash of its ends instead of a time, because
 * times differ between hosts: a change in the middle that keeps the size is not seen.
 *
 * @throws QalignError SHARD_NOT_FOUND, SHARD_DAMAGED
 */
export async function inputOf(store: Store, shard: string, { bytes, etag }: Stored): Promise<ShardMeta['input']> {
  return {
    name: basename(shard),
    bytes,
    etag: etag ?? null,
    ends_sha256: etag === undefined ? await hashOfEnds(store, shard, bytes) : null,
  };
}

/** A file of at most twice the length of an end is hashed whole. */
async function hashOfEnds(store: Store, shard: string, bytes: number): Promise<string> {
  const hash = createHash('sha256');
  const last = Math.max(Math.min(bytes, END_BYTES), bytes - END_BYTES);
  for (const [from, to] of [
    [0, Math.min(bytes, END_BYTES)],
    [last, bytes],
  ] as const)
    if (from < to) hash.update(await store.read(shard, from, to));
  return hash.digest('hex');
}
