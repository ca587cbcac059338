import { blank, type RawPicture } from '../resample/resample.js';

/** A part of a row or column of the view, and where it comes from in the picture. */
interface Span {
  /** First pixel in the view. */
  readonly to: number;
  /** First pixel in the picture. */
  readonly from: number;
  readonly count: number;
}

/**
 * Four tiles of native pixels as a mosaic of 2 × 2, without resizing. The tiles are centred at 1/4 and 3/4 of width and
 * height. A picture that is smaller than `size` in a direction is first padded to `size` in that direction. A picture
 * of `size` × `size` gives itself.
 *
 * @param size side of the result in pixels
 * @returns uint8 RGB, `size` rows of `size` pixels, in a new buffer
 */
export function nativeView({ width, height, data }: RawPicture, size: number): Uint8Array {
  const out = blank(size);
  const columns = spansOf(width, size);
  for (const rows of spansOf(height, size)) {
    for (let y = 0; y < rows.count; y++) {
      for (const { to, from, count } of columns) {
        const start = ((rows.from + y) * width + from) * 3;
        out.set(data.subarray(start, start + count * 3), ((rows.to + y) * size + to) * 3);
      }
    }
  }
  return out;
}

/** The two tiles in one direction, without their padding. Tiles do not overlap. */
function spansOf(length: number, size: number): Span[] {
  const padding = Math.max(0, Math.floor((size - length) / 2));
  const padded = Math.max(length, size);
  const half = Math.floor(size / 2);
  return [tile(0, half, padded / 4), tile(half, size - half, (3 * padded) / 4)];

  function tile(to: number, side: number, centre: number): Span {
    const first = Math.min(Math.max(0, Math.floor(centre - side / 2)), padded - side) - padding;
    const from = Math.max(0, first);
    return { to: to + from - first, from, count: Math.max(0, Math.min(length, first + side) - from) };
  }
}
