import type { PendingSample } from './read/sample.js';

/** Bytes in memory at which a block is full. */
const MOST_BYTES = 1 << 25;

/**
 * Cuts the samples of a shard into blocks of consecutive samples: at most `most`, or fewer if their bytes reach 32 MiB.
 * The boundaries depend on the shard and `most` only, so that batches are the same in every run.
 *
 * @param limit most samples that are read
 */
export async function* inBlocks(
  samples: AsyncIterable<PendingSample>,
  most: number,
  limit = Infinity,
): AsyncGenerator<PendingSample[], void, undefined> {
  let block: PendingSample[] = [];
  let [bytes, read] = [0, 0];
  for await (const sample of samples) {
    block.push(sample);
    bytes += sample.bytes;
    read += 1;
    if (block.length >= most || bytes >= MOST_BYTES || read >= limit) {
      yield block;
      [block, bytes] = [[], 0];
    }
    if (read >= limit) return;
  }
  if (block.length > 0) yield block;
}
