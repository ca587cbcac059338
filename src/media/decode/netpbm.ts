import { checkSize, corrupt, unsupported, type SizeLimits } from './decode-error.js';
import type { RawPicture } from '../resample/resample.js';

const isSpace = (byte: number | undefined): boolean => byte === 32 || (byte !== undefined && byte >= 9 && byte <= 13);

/**
 * Reads the next number of the header and its end offset. A comment, from # to the end of the line, can be inside it.
 */
function readNumber(bytes: Uint8Array, from: number): { value: number; at: number } {
  let digits = '';
  let at = from;
  for (; at < bytes.length && digits.length <= 10; at++) {
    if (bytes[at] === 0x23) while (at + 1 < bytes.length && bytes[at] !== 10 && bytes[at] !== 13) at++;
    else if (!isSpace(bytes[at])) digits += String.fromCharCode(bytes[at] ?? 0);
    else if (digits !== '') break;
  }
  if (!/^\d{1,10}$/.test(digits)) throw corrupt('PNM', 'has a header that is not made of numbers');
  return { value: Number(digits), at };
}

/**
 * Decodes binary PBM, PGM and PPM (P4, P5, P6) with 8 bits a sample. Other depths are refused, because Pillow's scaling
 * of them was not compared.
 *
 * @throws QalignError MEDIA_CORRUPT, MEDIA_UNSUPPORTED or MEDIA_TOO_LARGE
 */
export function decodeNetpbm(bytes: Uint8Array, limits: SizeLimits): RawPicture {
  const kind = bytes[1] === 0x34 ? 'PBM' : bytes[1] === 0x35 ? 'PGM' : 'PPM';
  const width = readNumber(bytes, 2);
  const height = readNumber(bytes, width.at);
  checkSize(kind, width.value, height.value, limits, 3);
  const most = kind === 'PBM' ? { value: 1, at: height.at } : readNumber(bytes, height.at);
  if (kind !== 'PBM' && most.value !== 255)
    throw unsupported(kind, `has a maximum level of ${most.value} instead of 255`);
  const [w, h, start] = [width.value, height.value, most.at + 1];
  const stride = kind === 'PBM' ? Math.ceil(w / 8) : kind === 'PGM' ? w : w * 3;
  if (bytes.length < start + stride * h) throw corrupt(kind, 'ends before its last row');
  if (kind === 'PPM') return { width: w, height: h, data: bytes.slice(start, start + stride * h) };
  const data = new Uint8Array(w * h * 3);
  for (let y = 0, to = 0; y < h; y++) {
    const row = start + y * stride;
    for (let x = 0; x < w; x++, to += 3) {
      // a set bit is black
      const bit = ((bytes[row + (x >> 3)] ?? 0) >> (7 - (x & 7))) & 1;
      data.fill(kind === 'PGM' ? (bytes[row + x] ?? 0) : bit === 0 ? 255 : 0, to, to + 3);
    }
  }
  return { width: w, height: h, data };
}
