/**
 * Headers, BMP, GIF and AVIF's turn are read by hand and the rest goes through sharp: pixels must equal Pillow's bit for
 * bit, and libvips treats palettes, transparency and 16-bit channels in another way.
 */
import { QalignError } from '../../base/errors.js';
import { readAvifTurn, undoAvifTurn } from './avif-orientation.js';
import { decodeBmp } from './bmp.js';
import { decodeGif } from './gif.js';
import { decodeTiff } from './tiff.js';
import { decodeWithSharp } from './sharp.js';
import { readJpegComponents } from './jpeg-header.js';
import type { MediaLimits } from '../limits.js';
import { sniff } from './magic.js';
import { readPngHeader } from './png-header.js';
import type { RawPicture } from '../resample/resample.js';

type Decoder = (bytes: Uint8Array, limits: MediaLimits, orient: boolean) => Promise<RawPicture> | RawPicture;

/** libvips knows an animated AVIF only by the brand of a still one; its cover picture is the first frame. */
function asStillAvif(bytes: Uint8Array): Uint8Array {
  if (String.fromCharCode(...bytes.subarray(8, 12)) !== 'avis') return bytes;
  const still = Uint8Array.from(bytes);
  still.set([0x61, 0x76, 0x69, 0x66], 8);
  return still;
}

/** By format: what Pillow's `convert('RGB')` gives for the first picture of the file. */
const DECODERS: Readonly<Record<string, Decoder>> = {
  jpeg: (bytes, limits, orient) => {
    const route = readJpegComponents(bytes, limits.maxPixels) === 4 ? 'cmyk' : 'rgb';
    return decodeWithSharp(bytes, { format: 'JPEG', route, orient }, limits);
  },
  png: (bytes, limits, orient) => {
    const { bitDepth, colourType } = readPngHeader(bytes, limits.maxPixels);
    const route = bitDepth === 16 && colourType === 0 ? 'grey16' : 'rgb';
    return decodeWithSharp(bytes, { format: 'PNG', route, orient }, limits);
  },
  webp: (bytes, limits, orient) => decodeWithSharp(bytes, { format: 'WebP', route: 'rgb', orient }, limits),
  // Pillow's TIFF reader turns the picture itself
  tiff: (bytes, limits) => decodeTiff(bytes, limits),
  avif: async (bytes, limits, orient) => {
    const picture = await decodeWithSharp(asStillAvif(bytes), { format: 'AVIF', route: 'rgb', orient: false }, limits);
    return orient ? picture : undoAvifTurn(picture, readAvifTurn(bytes));
  },
  gif: (bytes, limits) => decodeGif(bytes, limits.maxPixels),
  bmp: (bytes, limits) => decodeBmp(bytes, limits.maxPixels),
};

/**
 * Decodes a picture of any format, found by its magic bytes, to the pixels that Pillow's `convert('RGB')` gives.
 *
 * @param orient turn it as its EXIF orientation (AVIF: its own turn) says; TIFF is always turned, as by Pillow
 * @throws QalignError MEDIA_UNSUPPORTED, MEDIA_CORRUPT, MEDIA_TOO_LARGE, MEDIA_TIMEOUT
 */
export async function decodeImage(bytes: Uint8Array, limits: MediaLimits, orient: boolean): Promise<RawPicture> {
  const { kind, format } = sniff(bytes);
  const decoder = kind === 'image' ? DECODERS[format] : undefined;
  if (decoder !== undefined) return decoder(bytes, limits, orient);
  if (format === 'empty') throw new QalignError('MEDIA_CORRUPT', 'The file is empty.');
  const found =
    kind === 'video'
      ? `a clip (${format})`
      : format === 'unknown'
        ? 'neither a picture nor a clip'
        : `a ${format} file`;
  throw new QalignError(
    'MEDIA_UNSUPPORTED',
    `The file is ${found}; pictures are JPEG, PNG, WebP, GIF, TIFF, AVIF or BMP.`,
  );
}
