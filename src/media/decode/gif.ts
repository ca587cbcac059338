import { checkSize, corrupt, type SizeLimits } from './decode-error.js';
import { decodeLzw } from './gif-lzw.js';
import type { RawPicture } from '../resample/resample.js';

/**
 * Decodes the first frame of a GIF as Pillow does. A transparent pixel keeps the palette colour of the transparent
 * index. The area outside the frame gets that colour too, or palette entry 0 without transparency. The background index
 * is never used.
 */

interface Frame {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
  readonly interlaced: boolean;
  readonly palette: Uint8Array | undefined;
  readonly transparent: number | undefined;
  /** Offset of the LZW code size. */
  readonly at: number;
}

const word = (bytes: Uint8Array, at: number): number => (bytes[at] ?? 0) | ((bytes[at + 1] ?? 0) << 8);

function skipBlocks(bytes: Uint8Array, at: number): number {
  while (at < bytes.length && bytes[at] !== 0) at += (bytes[at] ?? 0) + 1;
  return at + 1;
}

/** Finds the first image descriptor at or after `at`, and the transparent index of the graphic control before it. */
function findFrame(bytes: Uint8Array, at: number): Frame {
  let transparent: number | undefined;
  for (;;) {
    const mark = bytes[at];
    if (mark === undefined || mark === 0x3b) throw corrupt('GIF', 'contains no picture');
    if (mark === 0x21) {
      const length = bytes[at + 2] ?? 0;
      if (bytes[at + 1] === 0xf9 && length >= 4 && ((bytes[at + 3] ?? 0) & 1) !== 0) transparent = bytes[at + 6];
      at = skipBlocks(bytes, at + 2);
    } else if (mark === 0x2c) {
      if (at + 11 > bytes.length) throw corrupt('GIF', 'ends inside its picture header');
      const flags = bytes[at + 9] ?? 0;
      const entries = (flags & 0x80) === 0 ? 0 : 2 << (flags & 7);
      return {
        left: word(bytes, at + 1),
        top: word(bytes, at + 3),
        width: word(bytes, at + 5),
        height: word(bytes, at + 7),
        interlaced: (flags & 0x40) !== 0,
        palette: entries === 0 ? undefined : bytes.subarray(at + 10, at + 10 + entries * 3),
        transparent,
        at: at + 10 + entries * 3,
      };
    } else {
      at++;
    }
  }
}

/** Rows of an interlaced picture in stored order. */
function rowOrder(height: number, interlaced: boolean): number[] {
  if (!interlaced) return Array.from({ length: height }, (_, y) => y);
  const order: number[] = [];
  for (const [first = 0, step = 1] of [
    [0, 8],
    [4, 8],
    [2, 4],
    [1, 2],
  ])
    for (let y = first; y < height; y += step) order.push(y);
  return order;
}

/** Fills a palette to 256 colours. Missing entries are black, but a plain grey ramp is continued. */
function fillPalette(palette: Uint8Array | undefined): Uint8Array {
  const ramp = Uint8Array.from({ length: 768 }, (_, i) => Math.floor(i / 3));
  if (palette === undefined || palette.every((value, i) => value === ramp[i])) return ramp;
  const colours = new Uint8Array(768);
  colours.set(palette.subarray(0, 768));
  return colours;
}

/** A palette index and three colour bytes. */
const PIXEL_BYTES = 4;

/** @throws QalignError MEDIA_CORRUPT or MEDIA_TOO_LARGE */
export function decodeGif(bytes: Uint8Array, limits: SizeLimits): RawPicture {
  if (bytes.length < 13) throw corrupt('GIF', 'ends inside its header');
  const flags = bytes[10] ?? 0;
  const entries = (flags & 0x80) === 0 ? 0 : 2 << (flags & 7);
  const global = entries === 0 ? undefined : bytes.subarray(13, 13 + entries * 3);
  const frame = findFrame(bytes, 13 + entries * 3);
  // a frame larger than the logical screen enlarges the picture
  const width = Math.max(word(bytes, 6), frame.left + frame.width);
  const height = Math.max(word(bytes, 8), frame.top + frame.height);
  checkSize('GIF', width, height, limits, PIXEL_BYTES);
  if (frame.width === 0 || frame.height === 0)
    throw corrupt('GIF', `has a frame of ${frame.width} x ${frame.height} pixels`);
  const indices = decodeLzw(bytes, frame.at, frame.width * frame.height);
  const colours = fillPalette(frame.palette ?? global);
  const data = new Uint8Array(width * height * 3);
  const rest = (frame.transparent ?? 0) * 3;
  if (frame.width < width || frame.height < height) {
    for (let i = 0; i < data.length; i++) data[i] = colours[rest + (i % 3)] ?? 0;
  }
  rowOrder(frame.height, frame.interlaced).forEach((row, stored) => {
    let to = ((frame.top + row) * width + frame.left) * 3;
    for (let i = stored * frame.width; i < (stored + 1) * frame.width; i++) {
      const at = (indices[i] ?? 0) * 3;
      data[to++] = colours[at] ?? 0;
      data[to++] = colours[at + 1] ?? 0;
      data[to++] = colours[at + 2] ?? 0;
    }
  });
  return { width, height, data };
}
