/** The distortions of the first qalign-nano. Its recipe needs the same pixels. */
import { mulberry32 } from '../../base/random.js';
import type { RawPicture } from '../resample/resample.js';
import type { BasicFamily } from './families.js';
import { encoded, open, pixels, resized } from './pixels.js';

export async function distortBasic(
  picture: RawPicture,
  family: BasicFamily,
  strength: number,
  seed: number,
): Promise<RawPicture> {
  const { width, height } = picture;
  const whole = Math.max(1, Math.round(strength));
  switch (family) {
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
      const small = await resized(picture, width / strength, height / strength, 'cubic');
      return resized(small, width, height, 'cubic');
    }
  }
}

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
