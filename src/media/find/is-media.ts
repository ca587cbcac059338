import { extname } from 'node:path';
import type { Sniffed } from '../decode/magic.js';

/** Names that promise a picture or a clip; content of another kind is then an error and not passed over. */
const ENDINGS = new Set(
  '.jpg .jpeg .jpe .jfif .pjpeg .png .apng .webp .gif .tif .tiff .avif .bmp .dib .heic .heif .hif .jxl .jp2 .mpo .mp4 .m4v .mkv .webm .mov .qt .avi .m2t .m2ts .mpg .mpeg .vob .flv .f4v .ogv .3gp .3g2 .wmv .asf .mxf .y4m .ivf .ppm .pgm .pbm .pnm'.split(
    ' ',
  ),
);
/** The same, but text under these names is source code. */
const ENDINGS_OF_CODE_TOO = new Set(['.ts', '.mts']);

const LFS_POINTER = 'version https://git-lfs';
const APPLE_DOUBLE = [0x00, 0x05, 0x16, 0x07];

/**
 * Whether a file of a folder is to be scored, or to fail where everybody can see it.
 *
 * @param start its first bytes, which `sniffed` was made of
 */
export function isMediaFile(name: string, start: Uint8Array, sniffed: Sniffed): boolean {
  // "BM" and "free" are words, too; media have control bytes behind them
  if (isText(start) && sniffed.format !== 'y4m') return promisesMedia(name, start);
  if (sniffed.kind !== 'unknown') return !isAudio(start, sniffed);
  if (APPLE_DOUBLE.every((byte, at) => start[at] === byte)) return false;
  return sniffed.unreadable?.media === true || promisesMedia(name, start);
}

/** By its name alone; `start` where the file could be read. */
export function promisesMedia(name: string, start?: Uint8Array): boolean {
  const ending = extname(name).toLowerCase();
  if (ENDINGS.has(ending)) return true;
  return ENDINGS_OF_CODE_TOO.has(ending) && (start === undefined || !isText(start) || isPointer(start));
}

/** No control characters but blanks and line ends. */
export function isText(bytes: Uint8Array): boolean {
  return bytes.every((byte) => byte >= 0x20 || (byte >= 0x09 && byte <= 0x0d));
}

const ascii = (bytes: Uint8Array, from: number, to: number): string =>
  Buffer.from(bytes.subarray(from, to)).toString('latin1');

const isPointer = (start: Uint8Array): boolean => ascii(start, 0, LFS_POINTER.length) === LFS_POINTER;

/** Containers of clips that hold sound alone, as far as their first bytes tell. */
function isAudio(start: Uint8Array, { format }: Sniffed): boolean {
  if (format === 'mp4') return /^M4[ABP] /.test(ascii(start, 8, 12));
  // an Ogg file begins with a page for each stream
  return format === 'ogg' && !/\x80theora|\x01video|BBCD|\x4fVP80/.test(ascii(start, 0, start.length)); // eslint-disable-line no-control-regex
}
