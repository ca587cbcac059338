/**
 * Headers, BMP, GIF and AVIF orientation have their own readers, and sharp reads the rest. Pixels must equal Pillow's
 * bit for bit, but libvips treats palettes, transparency and 16-bit channels differently.
 */
import { QalignError } from '../../base/errors.js';
import { isLimitedGrey, readAvifTurn, stretchLevels, undoAvifTurn } from './avif-properties.js';
import { decodeBmp } from './bmp.js';
import { decodeGif } from './gif.js';
import { decodeTiff } from './tiff/tiff.js';
import { decodeHeif } from './heif.js';
import { decodeNetpbm } from './netpbm.js';
import { findPngFaults, repairPng } from './png-repair.js';
import { decodeWithSharp, hasExifOrientation } from './sharp.js';
import { turnPicture } from './turn.js';
import { findJpegXmp, findPngXmp, findWebpXmp, xmpOrientation } from './xmp-orientation.js';
import { readJpegComponents } from './jpeg-header.js';
import type { DecodeLimits } from '../budget/needs-memory.js';
import { sniff } from './magic.js';
import { crc32, readPngHeader } from './png-header.js';
import type { RawPicture } from '../resample/resample.js';

type Decoder = (bytes: Uint8Array, limits: DecodeLimits, orient: boolean) => Promise<RawPicture> | RawPicture;

/** libvips reads an animated AVIF only under the brand of a still AVIF. Its cover picture is the first frame. */
function asStillAvif(bytes: Uint8Array): Uint8Array {
  if (String.fromCharCode(...bytes.subarray(8, 12)) !== 'avis') return bytes;
  const still = Uint8Array.from(bytes);
  still.set([0x61, 0x76, 0x69, 0x66], 8);
  return still;
}

/** EXIF orientation wins. Without it, the XMP orientation applies, as in Pillow's `exif_transpose`. */
async function turnByXmp(
  picture: RawPicture,
  bytes: Uint8Array,
  findXmp: (bytes: Uint8Array) => Uint8Array,
): Promise<RawPicture> {
  const orientation = xmpOrientation(findXmp(bytes));
  if (orientation === 1 || (await hasExifOrientation(bytes))) return picture;
  return turnPicture(picture, orientation);
}

async function decodePng(bytes: Uint8Array, limits: DecodeLimits, orient: boolean): Promise<RawPicture> {
  const { bitDepth, colourType } = readPngHeader(bytes, limits.maxPixels);
  const route = bitDepth === 16 && colourType === 0 ? 'grey16' : 'rgb';
  const faults = findPngFaults(bytes, colourType);
  const whole = faults.unknownCritical || faults.oddPalette ? repairPng(bytes, crc32) : bytes;
  const picture = await decodeWithSharp(whole, { format: 'PNG', route, orient }, limits);
  const turned = orient ? await turnByXmp(picture, whole, findPngXmp) : picture;
  return faults.noPalette ? { ...turned, warnings: ['the PNG has no palette: all of its pixels are black'] } : turned;
}

/** By format: the pixels that Pillow's `convert('RGB')` returns for the first picture of the file. */
const DECODERS: Readonly<Record<string, Decoder>> = {
  jpeg: async (bytes, limits, orient) => {
    const route = readJpegComponents(bytes, limits.maxPixels) === 4 ? 'cmyk' : 'rgb';
    const picture = await decodeWithSharp(bytes, { format: 'JPEG', route, orient }, limits);
    return orient ? turnByXmp(picture, bytes, findJpegXmp) : picture;
  },
  png: decodePng,
  webp: async (bytes, limits, orient) => {
    const picture = await decodeWithSharp(bytes, { format: 'WebP', route: 'rgb', orient }, limits);
    return orient ? turnByXmp(picture, bytes, findWebpXmp) : picture;
  },
  // Pillow's TIFF reader always applies the orientation
  tiff: (bytes, limits) => decodeTiff(bytes, limits),
  avif: async (bytes, limits, orient) => {
    const picture = await decodeWithSharp(asStillAvif(bytes), { format: 'AVIF', route: 'rgb', orient: false }, limits);
    if (isLimitedGrey(bytes)) stretchLevels(picture);
    return orient ? picture : undoAvifTurn(picture, readAvifTurn(bytes));
  },
  // libheif always applies the boxes, as pillow-heif does; the EXIF orientation repeats them and is ignored
  heif: (bytes, limits) => decodeHeif(bytes, limits),
  gif: (bytes, limits) => decodeGif(bytes, limits),
  bmp: (bytes, limits) => decodeBmp(bytes, limits),
  pnm: (bytes, limits) => decodeNetpbm(bytes, limits),
};

/**
 * Decodes a picture to the pixels of Pillow's `convert('RGB')`. The magic bytes select the format.
 *
 * @param orient apply the EXIF orientation (AVIF: its own transform); TIFF is always rotated, as in Pillow
 * @throws QalignError MEDIA_UNSUPPORTED, MEDIA_CORRUPT, MEDIA_TOO_LARGE, MEDIA_TIMEOUT
 */
export async function decodeImage(bytes: Uint8Array, limits: DecodeLimits, orient: boolean): Promise<RawPicture> {
  const { kind, format, unreadable } = sniff(bytes);
  const decoder = kind === 'image' ? DECODERS[format] : undefined;
  if (decoder !== undefined) return decoder(bytes, limits, orient);
  if (format === 'empty') throw new QalignError('MEDIA_CORRUPT', 'The file is empty.');
  if (unreadable !== undefined) {
    const { name, advice } = unreadable;
    throw new QalignError('MEDIA_UNSUPPORTED', `The file is ${name}, which qalign does not read; ${advice}.`);
  }
  const found = kind === 'video' ? `a clip (${format})` : 'neither a known picture nor a known clip';
  throw new QalignError(
    'MEDIA_UNSUPPORTED',
    `The file is ${found}; pictures are JPEG, PNG, WebP, GIF, TIFF, AVIF, HEIC, BMP or PNM.`,
  );
}
