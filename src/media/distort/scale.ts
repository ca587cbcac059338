/** Distortions that change the number of pixels: enlarged pictures, and chains of resizes. */
import type { RawPicture } from '../resample/resample.js';
import { between, encoded, oneOf, open, pixels, resized, type ResizeKernel } from './pixels.js';

const DOWN: readonly ResizeKernel[] = ['nearest', 'linear', 'cubic', 'lanczos3'];
const UP: readonly ResizeKernel[] = ['nearest', 'linear', 'cubic', 'lanczos3', 'cubic', 'lanczos3'];
const CHAIN: readonly ResizeKernel[] = ['nearest', 'linear', 'cubic', 'mitchell', 'lanczos2', 'lanczos3'];

/** `enlarge` makes no picture larger than this, unless the input is. */
const MOST_PIXELS = 16_000_000;

/** Reduces and enlarges with two drawn kernels. Some are sharpened afterwards, as super-resolution looks. */
export async function upscale(picture: RawPicture, factor: number, random: () => number): Promise<RawPicture> {
  const [down, up, amount] = [oneOf(random, DOWN), oneOf(random, UP), between(random, -2, 3)];
  const small = await resized(picture, picture.width / factor, picture.height / factor, down);
  const large = await resized(small, picture.width, picture.height, up);
  return amount <= 0.2 ? large : sharpened(large, 0.5 + 0.35 * factor, amount);
}

/** Enlarges by `factor`: fewer details for each pixel. Limits the size of large pictures, not the lost detail. */
export async function enlarge(picture: RawPicture, factor: number, random: () => number): Promise<RawPicture> {
  const [down, up, amount] = [oneOf(random, DOWN.slice(1)), oneOf(random, UP), between(random, -3, 2)];
  const { width, height } = picture;
  const gain = Math.max(1, Math.min(factor, Math.sqrt(MOST_PIXELS / (width * height))));
  const source =
    gain < factor ? await resized(picture, (width * gain) / factor, (height * gain) / factor, down) : picture;
  const large = await resized(source, width * gain, height * gain, up);
  return amount <= 0.2 ? large : sharpened(large, 0.4 * factor, amount);
}

/** Resizes `count` times by small factors with changing kernels, as a picture that is passed on from site to site. */
export async function chain(picture: RawPicture, count: number, random: () => number): Promise<RawPicture> {
  const quality = random() < 0.5 ? undefined : Math.round(between(random, 70, 92));
  const { width, height } = picture;
  let now = picture;
  for (let turn = 0; turn < Math.round(count); turn++) {
    const factor = between(random, 0.62, 0.97);
    const [down, up] = [oneOf(random, CHAIN), oneOf(random, CHAIN)];
    const small = await resized(now, width * factor, height * factor, down);
    now = await resized(small, width, height, up);
    if (quality !== undefined) now = await encoded(open(now).jpeg({ quality }));
  }
  return now;
}

const sharpened = (picture: RawPicture, sigma: number, amount: number): Promise<RawPicture> =>
  pixels(open(picture).sharpen({ sigma: Math.min(10, sigma), m1: amount, m2: amount, x1: 0, y2: 60, y3: 60 }));
