/**
 * Expands the run-length coding of BMP to one palette index per byte, with rows in stored order. Malformed streams are
 * handled as in Pillow. A run is cut at the end of its row, and skipped pixels get index 0. If the stream ends early,
 * the result is short, and the caller reports a truncated file.
 *
 * @returns at most `width · height` bytes
 */
export function expandBmpRle(
  bytes: Uint8Array,
  start: number,
  width: number,
  height: number,
  rle4: boolean,
): Uint8Array {
  const out = new Uint8Array(width * height);
  let length = 0;
  let x = 0;
  let at = start;
  const put = (index: number): void => {
    if (length < out.length) out[length++] = index;
  };
  while (length < out.length && at + 1 < bytes.length) {
    const run = bytes[at] ?? 0;
    const value = bytes[at + 1] ?? 0;
    at += 2;
    if (run > 0) {
      const pixels = x + run > width ? Math.max(0, width - x) : run;
      for (let i = 0; i < pixels; i++) put(!rle4 ? value : i % 2 === 0 ? value >> 4 : value & 15);
      x += pixels;
    } else if (value === 0) {
      while (length % width !== 0) put(0);
      x = 0;
    } else if (value === 1) {
      break;
    } else if (value === 2) {
      if (at + 1 >= bytes.length) break;
      const skip = Math.min(out.length - length, (bytes[at] ?? 0) + (bytes[at + 1] ?? 0) * width);
      at += 2;
      length += skip;
      x = length % width;
    } else {
      const pixels = Math.min(out.length - length, value);
      const stored = rle4 ? (pixels + 1) >> 1 : pixels;
      const present = Math.min(stored, bytes.length - at);
      for (let i = 0; i < present; i++) {
        const byte = bytes[at + i] ?? 0;
        put(rle4 ? byte >> 4 : byte);
        if (rle4 && i * 2 + 1 < pixels) put(byte & 15);
      }
      at += present;
      if (present < stored || length === out.length) break;
      x += value;
      // runs of literal pixels are padded to a 16-bit boundary
      if (at % 2 !== 0) at++;
    }
  }
  return out.subarray(0, length);
}
