import { extname } from 'node:path';
import type { Sniffed } from '../decode/magic.js';

/** Extensions of pictures and clips. A file with other content is then an error and is not skipped. */
const ENDINGS = new Set(
  '.jpg .jpeg .jpe .jfif .pjpeg .png .apng .webp .gif .tif .tiff .avif .bmp .dib .heic .heif .hif .jxl .jp2 .mpo .mp4 .m4v .mkv .webm .mov .qt .avi .m2t .m2ts .mpg .mpeg .vob .flv .f4v .ogv .3gp .3g2 .wmv .asf .mxf .y4m .ivf .ppm .pgm .pbm .pnm'.split(
    ' ',
  ),
);
/** Extensions of clips that source code also uses. Text files with these names are source code. */
const ENDINGS_OF_CODE_TOO = new Set(['.ts', '.mts']);

const LFS_POINTER = 'version https://git-lfs';
const APPLE_DOUBLE = [0x00, 0x05, 0x16, 0x07];

/**
 * Returns true if a file of a folder must be scored or must fail visibly.
 *
 * @param start its first bytes, from which `sniffed` was determined
 */
export function isMediaFile(name: string, start: Uint8Array, sniffed: Sniffed): boolean {
  // "BM" and "free" are also words, but in media control bytes follow
  if (isText(start) && sniffed.format !== 'y4m') return promisesMedia(name, start);
  if (sniffed.kind !== 'unknown') return !isAudio(start, sniffed);
  if (APPLE_DOUBLE.every((byte, at) => start[at] === byte)) return false;
  return sniffed.unreadable?.media === true || promisesMedia(name, start);
}

/** Decides by the name. `start` is given if the file could be read. */
export function promisesMedia(name: string, start?: Uint8Array): boolean {
  const ending = extname(name).toLowerCase();
  if (ENDINGS.has(ending)) return true;
  return ENDINGS_OF_CODE_TOO.has(ending) && (start === undefined || !isText(start) || isPointer(start));
}

/** Returns true if the bytes have no control characters except white space. */
export function isText(bytes: Uint8Array): boolean {
  return bytes.every((byte) => byte >= 0x20 || (byte >= 0x09 && byte <= 0x0d));
}

const ascii = (bytes: Uint8Array, from: number, to: number): string =>
  Buffer.from(bytes.subarray(from, to)).toString('latin1');

const isPointer = (start: Uint8Array): boolean => ascii(start, 0, LFS_POINTER.length) === LFS_POINTER;

/** Returns true if the first bytes show a clip container with audio only. */
function isAudio(start: Uint8Array, { format }: Sniffed): boolean {
  if (format === 'mp4') return /^M4[ABP] /.test(ascii(start, 8, 12));
  // an Ogg file begins with one page per stream
  return format === 'ogg' && !/\x80theora|\x01video|BBCD|\x4fVP80/.test(ascii(start, 0, start.length)); // eslint-disable-line no-control-regex
}
