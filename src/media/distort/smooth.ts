/** Distortions that remove detail but keep edges: over-strong denoising, and paint-like textures. */
import type { RawPicture } from '../resample/resample.js';
import { lumaOf, mapped, scaled } from './pixels.js';

/** Means over squares of side `2 · radius + 1`, cut at the border. */
function boxMean(plane: Float32Array, width: number, height: number, radius: number): Float32Array {
  const rows = new Float32Array(plane.length);
  for (let y = 0; y < height; y++) {
    const at = y * width;
    let sum = 0;
    for (let x = 0; x < Math.min(radius, width); x++) sum += plane[at + x]!;
    for (let x = 0; x < width; x++) {
      if (x + radius < width) sum += plane[at + x + radius]!;
      if (x > radius) sum -= plane[at + x - radius - 1]!;
      rows[at + x] = sum / (Math.min(width - 1, x + radius) - Math.max(0, x - radius) + 1);
    }
  }
  const out = new Float32Array(plane.length);
  const sums = new Float64Array(width);
  const add = (y: number, sign: number): void => {
    for (let x = 0, at = y * width; x < width; x++, at++) sums[x]! += sign * rows[at]!;
  };
  for (let y = 0; y < Math.min(radius, height); y++) add(y, 1);
  for (let y = 0; y < height; y++) {
    if (y + radius < height) add(y + radius, 1);
    if (y > radius) add(y - radius - 1, -1);
    const count = Math.min(height - 1, y + radius) - Math.max(0, y - radius) + 1;
    for (let x = 0, at = y * width; x < width; x++, at++) out[at] = sums[x]! / count;
  }
  return out;
}

/**
 * Guided filter of the luma with itself. It smooths everything with a contrast below `contrast` levels and keeps
 * stronger edges.
 */
export function denoise(picture: RawPicture, contrast: number): RawPicture {
  const { width, height, data } = picture;
  const radius = Math.max(2, Math.round(scaled(picture, 2 + contrast / 10)));
  const luma = lumaOf(picture);
  const mean = boxMean(luma, width, height, radius);
  const slope = boxMean(squares(luma), width, height, radius);
  for (let i = 0; i < slope.length; i++) {
    const variance = Math.max(0, slope[i]! - mean[i]! * mean[i]!);
    slope[i] = variance / (variance + contrast * contrast);
    mean[i]! *= 1 - slope[i]!;
  }
  const [slopes, offsets] = [boxMean(slope, width, height, radius), boxMean(mean, width, height, radius)];
  const out = new Uint8ClampedArray(data.length);
  for (let i = 0, at = 0; i < luma.length; i++, at += 3) {
    const change = (slopes[i]! - 1) * luma[i]! + offsets[i]!;
    for (let channel = at; channel < at + 3; channel++) out[channel] = data[channel]! + change;
  }
  return { width, height, data: new Uint8Array(out.buffer) };
}

function squares(plane: Float32Array): Float32Array {
  const out = new Float32Array(plane.length);
  for (let i = 0; i < out.length; i++) out[i] = plane[i]! * plane[i]!;
  return out;
}

/** Kuwahara filter: each pixel takes the mean of the most uniform of four squares that touch it. */
export function smear(picture: RawPicture, strength: number): RawPicture {
  const reach = scaled(picture, strength / 2); // half the side of a square
  const [small, share] = [Math.floor(reach), reach - Math.floor(reach)];
  const high = kuwahara(picture, small + 1);
  const low = small === 0 ? picture.data : kuwahara(picture, small);
  return mapped(picture, (i) => low[i]! + share * (high[i]! - low[i]!));
}

function kuwahara(picture: RawPicture, reach: number): Uint8Array {
  const { width, height, data } = picture;
  const luma = lumaOf(picture);
  const means = boxMean(luma, width, height, reach);
  const variances = boxMean(squares(luma), width, height, reach);
  for (let i = 0; i < variances.length; i++) variances[i]! -= means[i]! * means[i]!;
  const plane = new Float32Array(luma.length);
  const [red, green, blue] = [0, 1, 2].map((channel) => {
    for (let i = 0; i < plane.length; i++) plane[i] = data[3 * i + channel]!;
    return boxMean(plane, width, height, reach);
  }) as [Float32Array, Float32Array, Float32Array];
  const out = new Uint8ClampedArray(data.length);
  for (let y = 0, to = 0; y < height; y++) {
    const above = Math.max(0, y - reach) * width;
    const below = Math.min(height - 1, y + reach) * width;
    for (let x = 0; x < width; x++, to += 3) {
      const left = x < reach ? 0 : x - reach;
      const right = x + reach < width ? x + reach : width - 1;
      let best = above + left;
      if (variances[above + right]! < variances[best]!) best = above + right;
      if (variances[below + left]! < variances[best]!) best = below + left;
      if (variances[below + right]! < variances[best]!) best = below + right;
      out[to] = red[best]!;
      out[to + 1] = green[best]!;
      out[to + 2] = blue[best]!;
    }
  }
  return new Uint8Array(out.buffer);
}
