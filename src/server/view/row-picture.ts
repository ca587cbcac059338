import { createPriorityGate } from '../../base/priority-gate.js';
import type { MediaInput } from '../../media/media-input.js';
import { thumbnail } from '../../media/thumbnail.js';

/** Pictures that are decoded at the same time. */
const CONCURRENT = 2;

/**
 * Makes a small JPEG of a picture, or of the first frame of a clip. The file is always decoded and encoded again.
 * The answer then never has the bytes of a file that is not a picture.
 */
export function createRowPictures(): (media: MediaInput, side: number, signal: AbortSignal) => Promise<Buffer> {
  const gate = createPriorityGate(CONCURRENT);
  return (media, side, signal) =>
    gate.pass('interactive', async () => Buffer.from((await thumbnail(media, side)).split(',')[1]!, 'base64'), signal);
}
