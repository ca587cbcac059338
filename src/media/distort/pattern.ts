/** Distortions that add a pattern: impulses, grids of transposed convolutions, false texture. */
import type { RawPicture } from '../resample/resample.js';
import { between, lumaOf, mapped, oneOf, open, pixels, scaled } from './pixels.js';

/** Replaces a share of the pixels by black, white or, in some pictures, any colour. */
export function salt(picture: RawPicture, share: number, random: () => number): RawPicture {
  const coloured = random() < 0.4;
  const out = new Uint8Array(picture.data);
  for (let at = 0; at < out.length; at += 3) {
    const [chance, value] = [random(), random()];
    if (chance >= share) continue;
    for (let channel = 0; channel < 3; channel++)
      out[at + channel] = coloured ? 255 * ((value * 2 ** (channel + 1)) % 1 < 0.5 ? 0 : 1) : value < 0.5 ? 0 : 255;
  }
  return { width: picture.width, height: picture.height, data: out };
}

/** Adds a repeated cell of 2, 4 or 8 pixels, as overlapping transposed convolutions do. Bright areas get more of it. */
export function checkerboard(picture: RawPicture, amplitude: number, random: () => number): RawPicture {
  const period = oneOf(random, [2, 4, 8]);
  const cell = drawnCell(period, random);
  const { width, data } = picture;
  return mapped(picture, (i) => {
    const at = Math.floor(i / 3);
    const place = (Math.floor(at / width) % period) * period + ((at % width) % period);
    return data[i]! + amplitude * cell[3 * place + (i % 3)]! * (0.6 + data[i]! / 400);
  });
}

/** One cell of the pattern for three channels: mean 0, standard deviation 1. */
function drawnCell(period: number, random: () => number): Float64Array {
  const waves = Array.from({ length: 2 * period }, () => random());
  const tint = [0, 1, 2].map(() => between(random, 0.4, 1));
  const cell = new Float64Array(period * period).map((_, i) => {
    const [x, y] = [i % period, Math.floor(i / period)];
    return ((x + y) % 2 === 0 ? 0.6 : -0.6) + waves[x]! + waves[period + y]!;
  });
  const mean = cell.reduce((a, b) => a + b, 0) / cell.length;
  const std = Math.sqrt(cell.reduce((sum, v) => sum + (v - mean) ** 2, 0) / cell.length);
  return new Float64Array(3 * cell.length).map((_, i) => (tint[i % 3]! * (cell[Math.floor(i / 3)]! - mean)) / std);
}

/** Adds band-passed noise where the picture has detail: worm-like texture, as generators and super-resolution leave. */
export async function texture(picture: RawPicture, std: number, random: () => number): Promise<RawPicture> {
  const { width, height, data } = picture;
  const sigma = Math.max(0.6, scaled(picture, between(random, 0.7, 1.8)));
  const grey = { width, height, data: new Uint8Array(3 * width * height) };
  for (let at = 0; at < grey.data.length; at += 3)
    grey.data[at] = grey.data[at + 1] = grey.data[at + 2] = Math.floor(256 * random());
  const fine = lumaOf(await pixels(open(grey).blur(sigma)));
  const coarse = lumaOf(await pixels(open(grey).blur(2 * sigma)));
  const band = fine.map((v, i) => v - coarse[i]!);
  const gain = std / Math.max(1e-6, Math.sqrt(band.reduce((sum, v) => sum + v * v, 0) / band.length));
  const soft = await pixels(open(picture).blur(Math.max(1, 2 * sigma)));
  const detail = { width, height, data: data.map((v, i) => Math.min(255, 6 * Math.abs(v - soft.data[i]!))) };
  const busy = lumaOf(await pixels(open(detail).blur(Math.max(2, 4 * sigma))));
  return mapped(picture, (i) => {
    const at = Math.floor(i / 3);
    return data[i]! + gain * band[at]! * (0.3 + Math.min(1, busy[at]! / 60));
  });
}
