import { blank, type RawPicture } from '../resample/resample.js';

/**
 * The centre of a picture at its own pixels, without resizing. A picture that is smaller than `size` in a direction is
 * padded to `size` in that direction.
 *
 * @param size side of the result in pixels
 * @returns uint8 RGB, `size` rows of `size` pixels, in a new buffer
 */
export function nativeView({ width, height, data }: RawPicture, size: number): Uint8Array {
  const out = blank(size);
  const [columns, rows] = [centreOf(width, size), centreOf(height, size)];
  for (let y = 0; y < rows.count; y++) {
    const start = ((rows.from + y) * width + columns.from) * 3;
    out.set(data.subarray(start, start + columns.count * 3), ((rows.to + y) * size + columns.to) * 3);
  }
  return out;
}

/** The pixels of one direction that the view shows: the first in the picture, the first in the view, and how many. */
function centreOf(length: number, size: number): { from: number; to: number; count: number } {
  const spare = Math.floor((length - size) / 2);
  return spare >= 0 ? { from: spare, to: 0, count: size } : { from: 0, to: -spare, count: length };
}
