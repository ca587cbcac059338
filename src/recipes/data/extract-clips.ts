import { join } from 'node:path';
import type { Rating, RatingScan } from '../../datasets/rating.js';
import { QalignError } from '../../base/errors.js';
import { extractFrames } from '../../media/video/frame-folder.js';
import { orderedMap } from '../../base/ordered-map.js';

export interface ExtractOptions {
  /** Output folder, with one folder of frames per clip. */
  readonly out: string;
  /** Side of the frames in pixels. */
  readonly size: number;
  /** Handling of a damaged clip: `error` throws, `skip` leaves it out. */
  readonly damaged: 'error' | 'skip';
  readonly fileOf: (rating: Rating) => string | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onClip?: ((done: number, total: number) => void) | undefined;
}

/**
 * Extracts the frames of all clips that exist. Returns the folder of the frames by rated name. Two clips are decoded at
 * a time, because ffmpeg uses several cores.
 */
export async function extractClips(
  scan: RatingScan,
  { out, size, damaged, fileOf, signal, onClip }: ExtractOptions,
): Promise<ReadonlyMap<string, string>> {
  const folders = new Map<string, string>();
  let [done, total] = [0, 0];
  for await (const batch of scan()) total += batch.length;
  const one = async (rating: Rating): Promise<void> => {
    const file = fileOf(rating);
    if (file === undefined) return;
    const folder = join(
      out,
      rating.name
        .split('/')
        .filter((part) => part !== '..' && part !== '.')
        .join('/'),
    );
    try {
      await extractFrames(file, folder, { size, signal });
      folders.set(rating.name, folder);
    } catch (error) {
      if (!(error instanceof QalignError) || error.family !== 'media' || damaged === 'error') throw error;
    }
    onClip?.(++done, total);
  };
  for await (const _ of orderedMap(ratingsOf(scan), 2, one, signal));
  return folders;
}

async function* ratingsOf(scan: RatingScan): AsyncGenerator<Rating> {
  for await (const batch of scan()) yield* batch;
}
