/** Distortions around edges: halos of sharpening, and ringing of ideal low-pass filters. */
import type { RawPicture } from '../resample/resample.js';
import { between, mapped, open, pixels, scaled } from './pixels.js';

/** Unsharp mask with a drawn radius. */
export async function sharpen(picture: RawPicture, amount: number, random: () => number): Promise<RawPicture> {
  const sigma = Math.max(0.5, scaled(picture, between(random, 0.7, 2.4)));
  const soft = await pixels(open(picture).blur(sigma));
  return mapped(picture, (i) => picture.data[i]! + amount * (picture.data[i]! - soft.data[i]!));
}

/** Lobes of the sinc on each side. They end abruptly, so edges ring. */
const LOBES = 3;

/** Ideal low-pass filter in both directions, without a window. */
export function ringing({ width, height, data }: RawPicture, period: number): RawPicture {
  const reach = Math.ceil((LOBES * period) / 2);
  const taps = Float32Array.from({ length: reach + 1 }, (_, i) => {
    const x = (2 * i) / period;
    return x > LOBES ? 0 : x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x);
  });
  const sum = taps.reduce((total, tap) => total + 2 * tap, -taps[0]!);
  const weights = taps.map((tap) => tap / sum);
  const row = width * 3;
  const rows = Array.from({ length: height }, () => new Float32Array(row));
  const line = new Float32Array(row + 6 * reach);
  for (const [y, filtered] of rows.entries()) {
    for (let x = -reach, to = 0; x < width + reach; x++) {
      const from = y * row + 3 * Math.min(width - 1, Math.max(0, x));
      for (let channel = 0; channel < 3; channel++) line[to++] = data[from + channel]!;
    }
    for (let tap = 0; tap <= reach; tap++)
      addPair(filtered, weights[tap]!, line.subarray(3 * (reach - tap)), line.subarray(3 * (reach + tap)), tap === 0);
  }
  const out = new Uint8ClampedArray(data.length);
  const total = new Float32Array(row);
  for (let y = 0; y < height; y++) {
    total.fill(0);
    for (let tap = 0; tap <= reach; tap++)
      addPair(total, weights[tap]!, rows[Math.max(0, y - tap)]!, rows[Math.min(height - 1, y + tap)]!, tap === 0);
    out.set(total, y * row);
  }
  return { width, height, data: new Uint8Array(out.buffer) };
}

/** Adds two values with the same weight; both are the middle one if `once`. */
function addPair(sum: Float32Array, weight: number, left: Float32Array, right: Float32Array, once: boolean): void {
  const share = once ? weight / 2 : weight;
  if (share !== 0) for (let i = 0; i < sum.length; i++) sum[i]! += share * (left[i]! + right[i]!);
}
