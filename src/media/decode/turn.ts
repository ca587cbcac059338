import type { RawPicture } from '../resample/resample.js';

/** Builds a picture whose pixel (x, y) is pixel `from(x, y)` of `picture`. */
export function remap(
  picture: RawPicture,
  width: number,
  height: number,
  from: (x: number, y: number) => number,
): RawPicture {
  const data = new Uint8Array(picture.data.length);
  for (let y = 0, to = 0; y < height; y++) {
    for (let x = 0; x < width; x++, to += 3) {
      const at = from(x, y) * 3;
      data[to] = picture.data[at] ?? 0;
      data[to + 1] = picture.data[at + 1] ?? 0;
      data[to + 2] = picture.data[at + 2] ?? 0;
    }
  }
  return { ...picture, width, height, data };
}

/** Applies an EXIF orientation, 1 … 8: rotates and mirrors. 1 and unknown numbers return the picture unchanged. */
export function turnPicture(picture: RawPicture, orientation: number): RawPicture {
  const { width: w, height: h } = picture;
  if (orientation === 2) return remap(picture, w, h, (x, y) => y * w + w - 1 - x);
  if (orientation === 3) return remap(picture, w, h, (x, y) => (h - 1 - y) * w + w - 1 - x);
  if (orientation === 4) return remap(picture, w, h, (x, y) => (h - 1 - y) * w + x);
  if (orientation === 5) return remap(picture, h, w, (x, y) => x * w + y);
  if (orientation === 6) return remap(picture, h, w, (x, y) => (h - 1 - x) * w + y);
  if (orientation === 7) return remap(picture, h, w, (x, y) => (h - 1 - x) * w + w - 1 - y);
  if (orientation === 8) return remap(picture, h, w, (x, y) => x * w + w - 1 - y);
  return picture;
}
