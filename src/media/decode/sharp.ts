import sharp, { type Metadata, type Sharp, type SharpOptions } from 'sharp';
import { QalignError } from '../../base/errors.js';
import { corrupt } from './decode-error.js';
import type { DecodeLimits } from '../budget/needs-memory.js';
import type { MediaLimits } from '../limits.js';
import type { RawPicture } from '../resample/resample.js';

// every picture is decoded once, and threads are used across pictures, not inside one (docs/facts.md#sharp-and-pillow)
sharp.cache(false);
sharp.concurrency(1);

/** How the output of sharp is converted to Pillow's RGB. */
export type SharpRoute = 'rgb' | 'cmyk' | 'cmyk16' | 'grey16' | 'inverted-grey16' | 'associated';

export interface SharpDecode {
  /** Name of the format in error messages. */
  readonly format: string;
  readonly route: SharpRoute;
  /** Apply the orientation tag. */
  readonly orient: boolean;
}

/** Ignores ICC profiles and the warnings that Pillow ignores. Missing data are an error. */
const options = (limits: MediaLimits): SharpOptions => ({
  ignoreIcc: true,
  failOn: 'truncated',
  limitInputPixels: limits.maxPixels,
  autoOrient: false,
});

function toPipeline(input: Sharp, route: SharpRoute): Sharp {
  if (route === 'cmyk') return input.pipelineColourspace('cmyk').toColourspace('cmyk').raw();
  if (route === 'cmyk16') return input.pipelineColourspace('cmyk').toColourspace('cmyk').raw({ depth: 'ushort' });
  if (route === 'grey16' || route === 'inverted-grey16')
    return input.removeAlpha().toColourspace('grey16').raw({ depth: 'ushort' });
  if (route === 'associated') return input.toColourspace('srgb').raw();
  return input.removeAlpha().toColourspace('srgb').raw();
}

/** Pillow's CMYK → RGB: round((255 − ink)(255 − black) / 255) per channel. Data [n, 4 or more] → [n, 3]. */
function cmykToRgb(cmyk: Uint8Array, pixels: number): Uint8Array {
  const channels = cmyk.length / pixels;
  const rgb = new Uint8Array(pixels * 3);
  for (let from = 0, to = 0; to < rgb.length; from += channels, to += 3) {
    const white = 255 - (cmyk[from + 3] ?? 0);
    for (let c = 0; c < 3; c++) rgb[to + c] = Math.floor(((255 - (cmyk[from + c] ?? 0)) * white) / 255 + 0.5);
  }
  return rgb;
}

/** Pillow's 16-bit grey → RGB: min(v, 255), not the high byte. */
function grey16ToRgb(grey: Uint16Array, pixels: number, inverted: boolean): Uint8Array {
  const channels = grey.length / pixels;
  const rgb = new Uint8Array(pixels * 3);
  for (let i = 0; i < pixels; i++) {
    const value = grey[i * channels] ?? 0;
    rgb.fill(Math.min(inverted ? 65_535 - value : value, 255), i * 3, i * 3 + 3);
  }
  return rgb;
}

/** Divides colours by their alpha as Pillow does: ⌊255 · c / alpha⌋, or 0 if alpha is 0. */
function unassociate(data: Uint8Array, pixels: number): Uint8Array {
  const channels = data.length / pixels;
  const rgb = new Uint8Array(pixels * 3);
  for (let from = 0, to = 0; to < rgb.length; from += channels, to += 3) {
    const alpha = data[from + 3] ?? 0;
    if (alpha === 0) continue;
    for (let c = 0; c < 3; c++) rgb[to + c] = Math.min(255, Math.floor((255 * (data[from + c] ?? 0)) / alpha));
  }
  return rgb;
}

/** 1 or 3 bytes a pixel → 3. */
function greyToRgb(data: Uint8Array, pixels: number): Uint8Array {
  if (data.length === pixels * 3) return data;
  const channels = data.length / pixels;
  const rgb = new Uint8Array(pixels * 3);
  for (let i = 0; i < pixels; i++) rgb.fill(data[i * channels] ?? 0, i * 3, i * 3 + 3);
  return rgb;
}

/** Bytes per pixel of the result (three colours and some overhead), and additional bytes of each route. */
const RESULT_BYTES = 4;
const ROUTE_BYTES: Readonly<Record<SharpRoute, number>> = {
  rgb: 0,
  cmyk: 4,
  cmyk16: 12,
  grey16: 2,
  'inverted-grey16': 2,
  associated: 4,
};
const SAMPLE_BYTES: Readonly<Record<string, number>> = { uchar: 1, char: 1, ushort: 2, short: 2, double: 8 };

/** Bytes of memory per pixel while decoding, measured as the peak of the process (HEIF: computed from its planes). */
function pixelBytes({ format, channels, depth, isProgressive }: Metadata, { route, orient }: SharpDecode): number {
  const stored = channels * (SAMPLE_BYTES[depth] ?? 4);
  const held = ((): number => {
    if (format === 'jpeg') return isProgressive ? 2 * channels : 0; // all coefficients
    if (format === 'png') return isProgressive ? stored : 0; // interlaced PNG
    if (format === 'tiff') return stored; // one strip can be the whole picture
    return format === 'webp' ? 5 : 9;
  })();
  return RESULT_BYTES + ROUTE_BYTES[route] + held + (orient ? 3 : 0);
}

function sharpError(format: string, limits: MediaLimits, error: unknown): QalignError {
  const text = (error instanceof Error ? error.message : String(error)).split('\n')[0] ?? '';
  if (/pixel limit/i.test(text)) {
    return new QalignError(
      'MEDIA_TOO_LARGE',
      `The ${format} file has more pixels than the limit of ${limits.maxPixels}; raise maxPixels to read it.`,
      { cause: error },
    );
  }
  if (/timeout/i.test(text)) {
    return new QalignError(
      'MEDIA_TIMEOUT',
      `Decoding the ${format} file took longer than ${limits.timeoutMs} ms; raise timeoutMs.`,
      { cause: error },
    );
  }
  // libvips reports "unknown error" if its decoder returned no text
  return corrupt(format, /^unknown error$/i.test(text) ? 'cannot be decoded' : `cannot be decoded (${text})`, error);
}

/** Requests the memory for decoding, by the size in the header. Errors in the header are reported by the decoding. */
async function affordDecoding(bytes: Uint8Array, how: SharpDecode, limits: DecodeLimits): Promise<void> {
  const { afford } = limits;
  const header =
    afford &&
    (await sharp(bytes, options(limits))
      .metadata()
      .catch(() => undefined));
  if (header !== undefined) afford?.(header.width * header.height * pixelBytes(header, how));
}

/** Decodes the first picture of a file with sharp (libvips): JPEG, PNG, WebP, TIFF, AVIF. */
export async function decodeWithSharp(bytes: Uint8Array, how: SharpDecode, limits: DecodeLimits): Promise<RawPicture> {
  await affordDecoding(bytes, how, limits);
  try {
    const seconds = Math.min(3600, Math.max(1, Math.ceil(limits.timeoutMs / 1000)));
    const input = sharp(bytes, options(limits)).timeout({ seconds });
    const { data, info } = await toPipeline(how.orient ? input.autoOrient() : input, how.route).toBuffer({
      resolveWithObject: true,
    });
    const { width, height } = info;
    const pixels = width * height;
    if (how.route === 'cmyk') return { width, height, data: cmykToRgb(data, pixels) };
    if (how.route === 'associated') return { width, height, data: unassociate(data, pixels) };
    if (how.route === 'rgb') return { width, height, data: greyToRgb(data, pixels) };
    const aligned = data.byteOffset % 2 === 0 ? data : Uint8Array.from(data);
    const words = new Uint16Array(aligned.buffer, aligned.byteOffset, aligned.length / 2);
    if (how.route === 'cmyk16')
      return {
        width,
        height,
        data: cmykToRgb(
          Uint8Array.from(words, (word) => word >> 8),
          pixels,
        ),
      };
    return { width, height, data: grey16ToRgb(words, pixels, how.route === 'inverted-grey16') };
  } catch (error) {
    throw sharpError(how.format, limits, error);
  }
}

/** Returns true if libvips finds an orientation in the EXIF data. */
export async function hasExifOrientation(bytes: Uint8Array): Promise<boolean> {
  return (await sharp(bytes).metadata()).orientation !== undefined;
}
