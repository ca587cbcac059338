import sharp from 'sharp';
import { makeWhole } from '../../base/files/whole-file.js';
import { guardWrite } from '../../base/files/unwritable.js';
import { reasonOf } from '../../base/files/reason.js';
import { withPicture, type PrepareImageOptions } from '../image.js';
import type { MediaInput } from '../media-input.js';

/** Longest side of the picture under an overlay, in pixels. */
const MOST_SIDE = 1600;

/** Draws over a picture. Lengths are pixels of the file that is written. */
export interface Overlay {
  /** The drawing, `below` pixels higher than the picture. @param scale pixels of the file for one of the picture */
  svg(size: { readonly width: number; readonly height: number; readonly scale: number }): string;
  /** Pixels below a picture of this width. */
  below(width: number): number;
}

/**
 * Writes a picture with an overlay as a PNG. A large picture is shrunk. The file appears complete or not at all.
 *
 * @throws QalignError OUTPUT_UNWRITABLE; the errors of decoding
 */
export async function drawOverlay(
  path: string,
  input: MediaInput,
  overlay: Overlay,
  options: Pick<PrepareImageOptions, 'autoOrient' | 'limits' | 'signal'> = {},
): Promise<void> {
  const { width, height, data } = await withPicture(input, { ...options, size: 1 }, (picture) => picture);
  const scale = Math.min(1, MOST_SIDE / Math.max(width, height));
  const size = { width: Math.max(1, Math.round(width * scale)), height: Math.max(1, Math.round(height * scale)) };
  const svg = overlay.svg({ ...size, scale });
  const shrunk = await sharp(data, { raw: { width, height, channels: 3 } })
    .resize(size.width, size.height, { fit: 'fill' })
    .extend({ bottom: overlay.below(size.width), background: 'white' })
    .png()
    .toBuffer();
  const png = sharp(shrunk).composite([{ input: Buffer.from(svg), top: 0, left: 0 }]);
  const sentence = (error: Error): string =>
    `${path} cannot be written (${reasonOf(error)}); free space, or use another --map-out.`;
  await guardWrite(() => makeWhole(path, async (draft) => void (await png.png().toFile(draft))), sentence);
}
