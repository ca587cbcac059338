import sharp, { type Sharp } from 'sharp';
import { mulberry32 } from '../base/random.js';
import type { RawPicture } from './resample/resample.js';

/** The distortions. Each lowers the quality of a picture and has one strength. */
export const DISTORTIONS = ['jpeg', 'webp', 'blur', 'motion_blur', 'noise', 'darken', 'contrast', 'resample'] as const;
export type Distortion = (typeof DISTORTIONS)[number];

/** The mildest and the worst strength, and the unit. Strengths between them are spaced geometrically. */
export const STRENGTHS: Readonly<
  Record<Distortion, { readonly mild: number; readonly worst: number; readonly unit: string }>
> = {
  jpeg: { mild: 85, worst: 5, unit: 'encoder quality' },
  webp: { mild: 85, worst: 2, unit: 'encoder quality' },
  blur: { mild: 0.6, worst: 7, unit: 'standard deviation in pixels' },
  motion_blur: { mild: 3, worst: 40, unit: 'length in pixels' },
  noise: { mild: 3, worst: 60, unit: 'standard deviation in levels (0 to 255)' },
  darken: { mild: 0.85, worst: 0.1, unit: 'factor of all levels' },
  contrast: { mild: 0.8, worst: 0.1, unit: 'factor of the distance from middle grey' },
  resample: { mild: 1.4, worst: 10, unit: 'factor of reducing and enlarging' },
};

/** Returns the strength at `place`, from 0 (mildest) to 1 (worst). */
export function strengthAt(kind: Distortion, place: number): number {
  const { mild, worst } = STRENGTHS[kind];
  return mild * (worst / mild) ** place;
}

/**
 * Returns a distorted copy of a picture. The same arguments give the same pixels.
 *
 * @param strength in the unit of STRENGTHS
 * @param seed of the noise and of the motion direction; pictures of one series share it
 */
export async function distort(picture: RawPicture, kind: Distortion, strength: number, seed = 0): Promise<RawPicture> {
  const { width, height } = picture;
  const whole = Math.max(1, Math.round(strength));
  switch (kind) {
    case 'jpeg':
      return encoded(open(picture).jpeg({ quality: whole }));
    case 'webp':
      return encoded(open(picture).webp({ quality: whole }));
    case 'blur':
      return pixels(open(picture).blur(strength));
    case 'motion_blur':
      return pixels(open(picture).convolve(lineKernel(strength, Math.PI * mulberry32(seed)())));
    case 'noise':
      return { width, height, data: noisy(picture.data, strength, mulberry32(seed)) };
    case 'darken':
      return { width, height, data: picture.data.map((v) => Math.round(v * strength)) };
    case 'contrast':
      return { width, height, data: picture.data.map((v) => Math.round(128 + (v - 128) * strength)) };
    case 'resample': {
      const small = await pixels(
        open(picture).resize(Math.max(1, Math.round(width / strength)), Math.max(1, Math.round(height / strength)), {
          fit: 'fill',
          kernel: 'cubic',
        }),
      );
      return pixels(open(small).resize(width, height, { fit: 'fill', kernel: 'cubic' }));
    }
  }
}

const open = ({ width, height, data }: RawPicture): Sharp => sharp(data, { raw: { width, height, channels: 3 } });

/** Encodes a picture without loss. */
export const asPng = (picture: RawPicture): Promise<Uint8Array> =>
  open(picture).png({ compressionLevel: 1 }).toBuffer();

async function pixels(image: Sharp): Promise<RawPicture> {
  const { data, info } = await image.removeAlpha().toColourspace('srgb').raw().toBuffer({ resolveWithObject: true });
  return { width: info.width, height: info.height, data };
}

const encoded = async (image: Sharp): Promise<RawPicture> => pixels(sharp(await image.toBuffer()));

/**
 * A line of `length` pixels through the centre at `angle`. Its weight is shared between neighbouring pixels (bilinear).
 */
function lineKernel(length: number, angle: number): { width: number; height: number; kernel: number[]; scale: number } {
  const side = 2 * Math.ceil(length / 2) + 1;
  const kernel = new Array<number>(side * side).fill(0);
  const steps = Math.ceil(length * 4);
  for (let step = 0; step <= steps; step++) {
    const along = (step / steps - 0.5) * (length - 1);
    const [x, y] = [(side - 1) / 2 + along * Math.cos(angle), (side - 1) / 2 + along * Math.sin(angle)];
    const [left, top] = [Math.floor(x), Math.floor(y)];
    for (const [column, row] of [
      [left, top],
      [left + 1, top],
      [left, top + 1],
      [left + 1, top + 1],
    ] as const) {
      const share = (1 - Math.abs(x - column)) * (1 - Math.abs(y - row));
      if (share > 0) kernel[row * side + column]! += share;
    }
  }
  return { width: side, height: side, kernel, scale: kernel.reduce((a, b) => a + b, 0) };
}

function noisy(data: Uint8Array, std: number, next: () => number): Uint8Array {
  const out = new Uint8Array(data.length);
  for (let i = 0; i < data.length; i++) {
    const gauss = Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next());
    out[i] = Math.min(255, Math.max(0, Math.round((data[i] ?? 0) + std * gauss)));
  }
  return out;
}
