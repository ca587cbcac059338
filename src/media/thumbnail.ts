import sharp from 'sharp';
import { decodeImage } from './decode/decode.js';
import { readInput } from './image-file.js';
import { withDefaults, type MediaLimits } from './limits.js';
import type { MediaInput } from './media-input.js';
import { sniff } from './decode/magic.js';
import type { RawPicture } from './resample/resample.js';
import { sampleVideo } from './video/video.js';

/**
 * Returns a small JPEG of a picture, or of the first frame of a clip, as a data URI for a self-contained page. `side`
 * is the longer side in pixels.
 * @throws the errors of decoding
 */
export async function thumbnail(path: MediaInput, side = 240, given?: Partial<MediaLimits>): Promise<string> {
  const limits = withDefaults(given);
  const bytes = await readInput(path, limits);
  const picture =
    sniff(bytes).kind === 'video' ? await firstFrame(path, limits) : await decodeImage(bytes, limits, true);
  const { width, height, data } = picture;
  const jpeg = await sharp(data, { raw: { width, height, channels: 3 } })
    .resize(side, side, { fit: 'inside', withoutEnlargement: true })
    .jpeg({ quality: 72 })
    .toBuffer();
  return `data:image/jpeg;base64,${jpeg.toString('base64')}`;
}

async function firstFrame(path: MediaInput, limits: MediaLimits): Promise<RawPicture> {
  const { frames } = await sampleVideo(path, { maxFrames: 1, limits });
  for await (const frame of frames) return frame;
  throw new RangeError('the clip has no frame');
}
