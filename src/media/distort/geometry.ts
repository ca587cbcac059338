/** Distortions of shape: bent lines and displaced blocks. */
import type { RawPicture } from '../resample/resample.js';
import { between } from './pixels.js';

/** Displaces pixels smoothly by up to `share` of the shorter side. Straight lines and faces bend. */
export function warp({ width, height, data }: RawPicture, share: number, random: () => number): RawPicture {
  const short = Math.min(width, height);
  const cell = Math.max(4, short / between(random, 5, 10));
  const columns = Math.ceil(width / cell) + 2;
  const rows = Math.ceil(height / cell) + 2;
  const grid = Float32Array.from({ length: 2 * columns * rows }, () => (2 * random() - 1) * share * short);
  const out = new Uint8Array(data.length);
  for (let y = 0; y < height; y++) {
    const [row, v] = place(y / cell);
    for (let x = 0; x < width; x++) {
      const [column, u] = place(x / cell);
      const at = 2 * (row * columns + column);
      const [a, b, c, d] = [(1 - u) * (1 - v), u * (1 - v), (1 - u) * v, u * v];
      const below = at + 2 * columns;
      const fromX = x + a * grid[at]! + b * grid[at + 2]! + c * grid[below]! + d * grid[below + 2]!;
      const fromY = y + a * grid[at + 1]! + b * grid[at + 3]! + c * grid[below + 1]! + d * grid[below + 3]!;
      sample(data, width, height, fromX, fromY, out, 3 * (y * width + x));
    }
  }
  return { width, height, data: out };
}

/** Cell and smooth position (0 to 1) within it. */
function place(at: number): [number, number] {
  const cell = Math.floor(at);
  const t = at - cell;
  return [cell, t * t * (3 - 2 * t)];
}

/** Bilinear value at a position; positions outside take the border. */
function sample(
  data: Uint8Array,
  width: number,
  height: number,
  atX: number,
  atY: number,
  out: Uint8Array,
  to: number,
): void {
  const x = Math.min(width - 1, Math.max(0, atX));
  const y = Math.min(height - 1, Math.max(0, atY));
  const [left, top] = [Math.floor(x), Math.floor(y)];
  const [u, v] = [x - left, y - top];
  const at = 3 * (top * width + left);
  const right = left + 1 < width ? 3 : 0;
  const below = top + 1 < height ? 3 * width : 0;
  for (let channel = 0; channel < 3; channel++) {
    const i = at + channel;
    const upper = data[i]! + u * (data[i + right]! - data[i]!);
    const lower = data[i + below]! + u * (data[i + below + right]! - data[i + below]!);
    out[to + channel] = Math.round(upper + v * (lower - upper));
  }
}

/** Copies blocks from places a few pixels away. More blocks with a larger share; the first ones stay the same. */
export function patches({ width, height, data }: RawPicture, share: number, random: () => number): RawPicture {
  const short = Math.min(width, height);
  const out = new Uint8Array(data); // a copy also of a Buffer, whose slice shares memory
  let left = share * width * height;
  while (left > 0) {
    const [w, h] = [width, height].map((side) => {
      const drawn = Math.round((short * between(random, 1, 4)) / 24);
      return Math.min(side, Math.max(2, drawn));
    }) as [number, number];
    const [x, y] = [Math.floor(random() * (width - w + 1)), Math.floor(random() * (height - h + 1))];
    const [angle, far] = [between(random, 0, 2 * Math.PI), short * between(random, 0.012, 0.06) + 1];
    const fromX = Math.min(width - w, Math.max(0, Math.round(x + far * Math.cos(angle))));
    const fromY = Math.min(height - h, Math.max(0, Math.round(y + far * Math.sin(angle))));
    for (let row = 0; row < h; row++) {
      const from = 3 * ((fromY + row) * width + fromX);
      out.set(data.subarray(from, from + 3 * w), 3 * ((y + row) * width + x));
    }
    left -= w * h;
  }
  return { width, height, data: out };
}
