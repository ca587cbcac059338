import { checkSize, corrupt, unsupported, type SizeLimits } from './decode-error.js';
import { expandBmpRle } from './bmp-rle.js';
import type { RawPicture } from '../resample/resample.js';

/**
 * Reads BMP as Pillow does, because sharp has no BMP reader. Supported are OS/2 and Windows headers up to version 5,
 * with 1, 4, 8, 16, 24 or 32 bits. RLE8, RLE4 and the usual bit fields are supported too. Rows can be stored bottom-up
 * or top-down. Alpha is dropped.
 */

interface BmpHeader {
  readonly width: number;
  readonly height: number;
  readonly bits: number;
  readonly compression: number;
  readonly topDown: boolean;
  /** Number of palette entries, and bytes per entry. */
  readonly colours: number;
  readonly entryBytes: number;
  readonly masks: readonly number[];
  readonly paletteAt: number;
  readonly pixelsAt: number;
}

const RAW = 0;
const RLE8 = 1;
const RLE4 = 2;
const BITFIELDS = 3;
const HEADER_SIZES = [12, 40, 52, 56, 64, 108, 124];

function readHeader(view: DataView): BmpHeader {
  const headerSize = view.byteLength >= 18 ? view.getUint32(14, true) : 0;
  if (!HEADER_SIZES.includes(headerSize)) throw unsupported('BMP', `has an unknown header of ${headerSize} bytes`);
  if (view.byteLength < 14 + headerSize) throw corrupt('BMP', 'ends inside its header');
  const os2 = headerSize === 12;
  const topDown = !os2 && view.getUint8(25) === 0xff;
  const width = os2 ? view.getUint16(18, true) : view.getUint32(18, true);
  const tall = os2 ? view.getUint16(20, true) : view.getUint32(22, true);
  const bits = view.getUint16(os2 ? 24 : 28, true);
  const compression = os2 ? RAW : view.getUint32(30, true);
  const colours = (os2 ? 0 : view.getUint32(46, true)) || 2 ** bits;
  const entryBytes = os2 ? 3 : 4;
  let paletteAt = 14 + headerSize;
  const masks: number[] = [];
  if (compression === BITFIELDS) {
    const count = headerSize >= 56 ? 4 : 3;
    if (view.byteLength < 54 + count * 4) throw corrupt('BMP', 'ends inside its bit masks');
    for (let i = 0; i < count; i++) masks.push(view.getUint32(54 + i * 4, true));
    if (headerSize === 40) paletteAt += 12;
  }
  const afterPalette = paletteAt + (bits <= 8 ? colours * entryBytes : 0);
  const stated = view.getUint32(10, true);
  // a pixel offset that points at the palette is counted from its end
  const pixelsAt = stated === 14 + headerSize && bits <= 8 ? stated + colours * entryBytes : stated || afterPalette;
  return {
    width,
    height: topDown ? 2 ** 32 - tall : tall,
    bits,
    compression,
    topDown,
    colours,
    entryBytes,
    masks,
    paletteAt,
    pixelsAt,
  };
}

/** Writes one row of RGB to `out` at `to`. The stored row starts at `at`. */
type RowReader = (bytes: Uint8Array, at: number, out: Uint8Array, to: number, width: number) => void;

const bytesReader =
  (step: number, red: number, green: number, blue: number): RowReader =>
  (bytes, at, out, to, width) => {
    for (let x = 0; x < width; x++, at += step, to += 3) {
      out[to] = bytes[at + red] ?? 0;
      out[to + 1] = bytes[at + green] ?? 0;
      out[to + 2] = bytes[at + blue] ?? 0;
    }
  };

const wordsReader = (greenBits: 5 | 6): RowReader => {
  const greenMax = 2 ** greenBits - 1;
  return (bytes, at, out, to, width) => {
    for (let x = 0; x < width; x++, at += 2, to += 3) {
      const word = (bytes[at] ?? 0) | ((bytes[at + 1] ?? 0) << 8);
      out[to] = Math.floor((((word >> (5 + greenBits)) & 31) * 255) / 31);
      out[to + 1] = Math.floor((((word >> 5) & greenMax) * 255) / greenMax);
      out[to + 2] = Math.floor(((word & 31) * 255) / 31);
    }
  };
};

const paletteReader =
  (bits: number, palette: Uint8Array): RowReader =>
  (bytes, at, out, to, width) => {
    const mask = 2 ** bits - 1;
    for (let x = 0; x < width; x++, to += 3) {
      const bit = x * bits;
      const index = ((bytes[at + (bit >> 3)] ?? 0) >> (8 - bits - (bit & 7))) & mask;
      out[to] = palette[index * 3] ?? 0;
      out[to + 1] = palette[index * 3 + 1] ?? 0;
      out[to + 2] = palette[index * 3 + 2] ?? 0;
    }
  };

/** Masks of red, green, blue and alpha that Pillow supports, with the byte index of each colour. Others are refused. */
const MASKS_32: Readonly<Record<string, readonly [number, number, number]>> = {
  'ff0000,ff00,ff,0': [2, 1, 0],
  'ff000000,ff0000,ff00,0': [3, 2, 1],
  'ff000000,ff00,ff,0': [3, 1, 0],
  'ff000000,ff0000,ff00,ff': [3, 2, 1],
  'ff,ff00,ff0000,ff000000': [0, 1, 2],
  'ff0000,ff00,ff,ff000000': [2, 1, 0],
  'ff000000,ff00,ff,ff0000': [3, 1, 0],
  '0,0,0,0': [2, 1, 0],
};

function maskedReader({ bits, masks }: BmpHeader): RowReader {
  const [red = 0, green = 0, blue = 0, alpha = 0] = masks;
  const rgb = [red, green, blue].map((mask) => mask.toString(16)).join(',');
  const order = MASKS_32[`${rgb},${alpha.toString(16)}`];
  if (bits === 32 && order !== undefined) return bytesReader(4, ...order);
  if (bits === 24 && rgb === 'ff0000,ff00,ff') return bytesReader(3, 2, 1, 0);
  if (bits === 16 && rgb === 'f800,7e0,1f') return wordsReader(6);
  if (bits === 16 && rgb === '7c00,3e0,1f') return wordsReader(5);
  throw unsupported('BMP', `has unsupported bit fields ${rgb} of ${bits} bits`);
}

function readPalette(bytes: Uint8Array, header: BmpHeader): { palette: Uint8Array; grey: boolean } {
  const { colours, entryBytes, paletteAt } = header;
  if (colours > 256) throw corrupt('BMP', `declares ${colours} colours`);
  const palette = new Uint8Array(768);
  let grey = true;
  for (let i = 0; i < colours; i++) {
    const at = paletteAt + i * entryBytes;
    const [blue, green, red] = [bytes[at], bytes[at + 1], bytes[at + 2]];
    const level = colours === 2 ? i * 255 : i;
    if (blue !== level || green !== level || red !== level) grey = false;
    if (i < 256) palette.set([red ?? 0, green ?? 0, blue ?? 0], i * 3);
  }
  return { palette, grey };
}

/** Pillow ignores a palette that is the plain grey ramp, so indices beyond its end are greys too. */
const GREY_RAMP = Uint8Array.from({ length: 768 }, (_, i) => Math.floor(i / 3));
const BLACK_WHITE = Uint8Array.of(0, 0, 0, 255, 255, 255);

function chooseReader(bytes: Uint8Array, header: BmpHeader): RowReader {
  const { bits, compression, colours } = header;
  if (compression === BITFIELDS) return maskedReader(header);
  if (bits === 16) return wordsReader(5);
  if (bits === 24) return bytesReader(3, 2, 1, 0);
  if (bits === 32) return bytesReader(4, 2, 1, 0);
  const { palette, grey } = readPalette(bytes, header);
  if (!grey) return paletteReader(compression === RAW ? bits : 8, palette);
  if (compression !== RAW) return paletteReader(8, GREY_RAMP);
  if (colours <= 2) return paletteReader(1, BLACK_WHITE);
  if (bits !== 8) throw unsupported('BMP', `has ${bits} bits a pixel and only a grey ramp as palette`);
  return paletteReader(8, GREY_RAMP);
}

/** Three colour bytes and, for run-length coding, a palette index. */
const PIXEL_BYTES = 4;

/** @throws QalignError MEDIA_CORRUPT, MEDIA_UNSUPPORTED or MEDIA_TOO_LARGE */
export function decodeBmp(bytes: Uint8Array, limits: SizeLimits): RawPicture {
  const header = readHeader(new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength));
  const { width, height, bits, compression, topDown } = header;
  checkSize('BMP', width, height, limits, PIXEL_BYTES);
  if (![1, 4, 8, 16, 24, 32].includes(bits)) throw unsupported('BMP', `has ${bits} bits a pixel`);
  if (compression > BITFIELDS) throw unsupported('BMP', `is compressed by method ${compression}`);
  const rle = compression === RLE8 || compression === RLE4;
  if (rle && bits > 8) throw unsupported('BMP', `is run-length coded with ${bits} bits a pixel`);
  const readRow = chooseReader(bytes, header);
  const stored = rle ? expandBmpRle(bytes, header.pixelsAt, width, height, compression === RLE4) : bytes;
  const start = rle ? 0 : header.pixelsAt;
  const stride = rle ? width : ((width * bits + 31) >>> 3) & ~3;
  const lastRow = rle ? width : Math.ceil((width * bits) / 8);
  if (stored.length < start + stride * (height - 1) + lastRow) throw corrupt('BMP', 'ends before its last row');
  const data = new Uint8Array(width * height * 3);
  for (let y = 0; y < height; y++)
    readRow(stored, start + y * stride, data, (topDown ? y : height - 1 - y) * width * 3, width);
  return { width, height, data };
}
