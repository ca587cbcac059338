/** Pictures between sharp, bytes and floating-point planes. */
import sharp, { type Sharp } from 'sharp';
import type { RawPicture } from '../resample/resample.js';

export const open = ({ width, height, data }: RawPicture): Sharp =>
  sharp(data, { raw: { width, height, channels: 3 } });

/** Encodes a picture without loss. */
export const asPng = (picture: RawPicture): Promise<Uint8Array> =>
  open(picture).png({ compressionLevel: 1 }).toBuffer();

export async function pixels(image: Sharp): Promise<RawPicture> {
  const { data, info } = await image.removeAlpha().toColourspace('srgb').raw().toBuffer({ resolveWithObject: true });
  return { width: info.width, height: info.height, data };
}

export const encoded = async (image: Sharp): Promise<RawPicture> => pixels(sharp(await image.toBuffer()));

export type ResizeKernel = 'nearest' | 'linear' | 'cubic' | 'mitchell' | 'lanczos2' | 'lanczos3';

/** Resizes to exactly `width` × `height` pixels. */
export const resized = (
  picture: RawPicture,
  width: number,
  height: number,
  kernel: ResizeKernel,
): Promise<RawPicture> =>
  pixels(
    open(picture).resize(Math.max(1, Math.round(width)), Math.max(1, Math.round(height)), {
      fit: 'fill',
      kernel,
    }),
  );

/** A copy with the levels of `of(index)`, rounded and clipped. */
export function mapped({ width, height, data }: RawPicture, of: (index: number) => number): RawPicture {
  const out = new Uint8ClampedArray(data.length);
  for (let i = 0; i < data.length; i++) out[i] = of(i);
  return { width, height, data: new Uint8Array(out.buffer) };
}

/** Luma (BT.601) of each pixel, 0 to 255. */
export function lumaOf({ width, height, data }: RawPicture): Float32Array {
  const luma = new Float32Array(width * height);
  for (let i = 0, at = 0; i < luma.length; i++, at += 3)
    luma[i] = 0.299 * data[at]! + 0.587 * data[at + 1]! + 0.114 * data[at + 2]!;
  return luma;
}

/** A length in pixels for the size of the picture: `at512` for a shorter side of 512, half to four times of it. */
export const scaled = ({ width, height }: RawPicture, at512: number): number =>
  at512 * Math.min(4, Math.max(0.5, Math.min(width, height) / 512));

/** Number from `low` to `high`. */
export const between = (random: () => number, low: number, high: number): number => low + (high - low) * random();

export function oneOf<T>(random: () => number, items: readonly T[]): T {
  return items[Math.floor(random() * items.length)] as T;
}
