/** This resampler equals Pillow's bit for bit. Sharp's does not, and scores depend on every pixel. */
import { QalignError } from '../../base/errors.js';
import { PAD_COLOUR } from '../preprocessing.js';
import { planResample, planResize } from './resample-plan.js';
import { resamplePlain } from './resample-plain.js';
import { createWasmResample, type Resample } from './resample-wasm.js';

/** uint8 RGB, row by row from the top. */
export interface RawPicture {
  readonly width: number;
  readonly height: number;
  readonly data: Uint8Array;
  /** Warnings about these pixels, in sentences. */
  readonly warnings?: readonly string[];
  /** Name of the decoder, if its pixels do not equal Pillow's. */
  readonly decoder?: string;
}

/** The rows between the two passes take `size · 3 · height` bytes: 350 MB at this height and 448 px. */
const MAX_SIDE = 262_144;

let resample: Resample | undefined;

/** uint8 RGB [size, size, 3] in the colour of the padding. */
export function blank(size: number): Uint8Array {
  const out = new Uint8Array(size * size * 3);
  for (let i = 0; i < out.length; i++) out[i] = PAD_COLOUR[i % 3] ?? 0;
  return out;
}

/** Returns the padded square without resizing, for a picture whose longer side equals the requested size. */
function padOnly({ width, height, data }: RawPicture, size: number): Uint8Array {
  if (width === height) return data.slice(0, size * size * 3);
  const out = blank(size);
  const left = Math.floor((size - width) / 2);
  const top = Math.floor((size - height) / 2);
  for (let y = 0; y < height; y++) {
    out.set(data.subarray(y * width * 3, (y + 1) * width * 3), ((top + y) * size + left) * 3);
  }
  return out;
}

/**
 * Pads a picture to a square with the reference's colour and resizes it. The result equals Pillow's BICUBIC bit for bit
 * (docs/mplug-owl2.md#image-preprocessing). The padded square is never created: the padding is one term of each sum.
 *
 * @param size side of the result in pixels, 1 … 4096
 * @returns uint8 RGB, `size` rows of `size` pixels, in a new buffer
 */
export function padAndResize(picture: RawPicture, size: number): Uint8Array {
  const { width, height, data } = picture;
  requireSound(picture);
  if (Math.max(width, height) === size) return padOnly(picture, size);
  resample ??= createWasmResample() ?? resamplePlain;
  return resample(data, planResample(width, height, size));
}

/**
 * Resizes a picture without padding, each direction by its own scale. The result equals Pillow's BICUBIC bit for bit.
 *
 * @param to size of the result in pixels
 * @returns uint8 RGB, `to.height` rows of `to.width` pixels, in a new buffer
 * @throws QalignError MEDIA_CORRUPT, MEDIA_TOO_LARGE
 */
export function resizePicture(
  picture: RawPicture,
  to: { readonly width: number; readonly height: number },
): Uint8Array {
  const { width, height, data } = picture;
  requireSound(picture);
  if (width === to.width && height === to.height) return data.slice();
  resample ??= createWasmResample() ?? resamplePlain;
  return resample(data, planResize(width, height, to.width, to.height));
}

function requireSound({ width, height, data }: RawPicture): void {
  const side = Math.max(width, height);
  if (data.length !== width * height * 3 || data.length === 0) {
    throw new QalignError(
      'MEDIA_CORRUPT',
      `A picture of ${width}x${height} needs ${width * height * 3} bytes of RGB, but has ${data.length}.`,
    );
  }
  if (side > MAX_SIDE) {
    throw new QalignError(
      'MEDIA_TOO_LARGE',
      `A side of ${side} pixels is over the limit of ${MAX_SIDE}; split the picture into parts.`,
    );
  }
}
