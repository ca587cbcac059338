import { sniffBareStream } from '../video/bare-stream.js';
import { findForeign, type Unreadable } from './foreign-formats.js';

/** The kind of a file by its first bytes. File names are never used. */
export type MediaKind = 'image' | 'video' | 'unknown';

export interface Sniffed {
  readonly kind: MediaKind;
  /** Short name of the format, e.g. `jpeg` or `mp4`. `empty` for an empty file, `unknown` for an unknown format. */
  readonly format: string;
  /** For `unknown`: the type of the file, if qalign recognises it. */
  readonly unreadable?: Unreadable;
}

/** Maximum number of bytes that {@link sniff} needs. Shorter input is allowed. */
export const SNIFF_BYTES = 4096;

const latin1 = (bytes: Uint8Array, from: number, to: number): string =>
  String.fromCharCode(...bytes.subarray(from, Math.min(to, bytes.length)));

const image = (format: string): Sniffed => ({ kind: 'image', format });
const video = (format: string): Sniffed => ({ kind: 'video', format });
const unknown = (format: string): Sniffed => ({ kind: 'unknown', format });

function foreign(bytes: Uint8Array): Sniffed {
  const unreadable = findForeign(bytes);
  return unreadable === undefined ? unknown('unknown') : { ...unknown('unknown'), unreadable };
}

/** Formats with a fixed string at the start of the file. */
const PREFIXES: readonly (readonly [string, Sniffed])[] = [
  ['\xff\xd8\xff', image('jpeg')],
  ['\x89PNG\r\n\x1a\n', image('png')],
  ['GIF87a', image('gif')],
  ['GIF89a', image('gif')],
  ['II*\0', image('tiff')],
  ['MM\0*', image('tiff')],
  ['II+\0', image('tiff')],
  ['MM\0+', image('tiff')],
  ['BM', image('bmp')],
  ['\x1a\x45\xdf\xa3', video('matroska')],
  ['\x00\x00\x01\xba', video('mpeg-ps')],
  ['\x00\x00\x01\xb3', video('mpeg-video')],
  ['\x30\x26\xb2\x75\x8e\x66\xcf\x11', video('asf')],
  ['OggS', video('ogg')],
  ['FLV\x01', video('flv')],
  ['DKIF', video('ivf')],
  ['YUV4MPEG2', video('y4m')],
  ['\x06\x0e\x2b\x34\x02\x05\x01\x01', video('mxf')],
  ['.RMF', video('realmedia')],
  ['nut/multimedia container\0', video('nut')],
  ['\xb7\xd8\x00\x20\x37\x49\xda\x11\xa6\x4e\x00\x07\xe9\x5e\xad\x8d', video('wtv')],
];

const QUICKTIME_ATOMS = new Set(['moov', 'mdat', 'free', 'skip', 'wide', 'pnot']);
const HEIF_BRANDS = new Set(
  'heic heix heim heis hevc hevx hevm hevs mif1 msf1 mif2 avci avcs j2ki j2is jpeg jpgs vvic vvis evbi evbs'.split(' '),
);

/** ISO base media: the `ftyp` box distinguishes pictures (AVIF, HEIF) from clips. */
function sniffBox(bytes: Uint8Array): Sniffed | undefined {
  const type = latin1(bytes, 4, 8);
  if (QUICKTIME_ATOMS.has(type)) return video('mov');
  if (type !== 'ftyp' || bytes.length < 12) return undefined;
  const size = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getUint32(0);
  const brands = [latin1(bytes, 8, 12)];
  for (let at = 16; at + 4 <= Math.min(size, bytes.length); at += 4) brands.push(latin1(bytes, at, at + 4));
  const major = brands[0] ?? '';
  if (major === 'crx ') return undefined;
  if (major === 'avif' || major === 'avis') return image('avif');
  if (HEIF_BRANDS.has(major)) return image(brands.includes('avif') ? 'avif' : 'heif');
  return video(major === 'qt  ' ? 'mov' : 'mp4');
}

/**
 * Detects the format and kind of a file by its magic bytes.
 *
 * @param bytes the first {@link SNIFF_BYTES} bytes of the file, or the whole file
 */
export function sniff(bytes: Uint8Array): Sniffed {
  if (bytes.length === 0) return unknown('empty');
  const start = latin1(bytes, 0, 32);
  for (const [prefix, found] of PREFIXES) if (start.startsWith(prefix)) return found;
  if (start.startsWith('RIFF')) {
    const form = latin1(bytes, 8, 12);
    if (form === 'WEBP') return image('webp');
    if (form === 'AVI ') return video('avi');
    return foreign(bytes);
  }
  const box = sniffBox(bytes);
  if (box !== undefined) return box;
  const stream = sniffBareStream(bytes);
  if (stream !== undefined) return video(stream);
  return /^P[456]\s/.test(start) ? image('pnm') : foreign(bytes);
}
