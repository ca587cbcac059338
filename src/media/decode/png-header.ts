import { checkSize, corrupt, unsupported } from './decode-error.js';

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, n) => {
  let c = n;
  for (let bit = 0; bit < 8; bit++) c = (c & 1) === 1 ? 0xedb88320 ^ (c >>> 1) : c >>> 1;
  return c;
});

export function crc32(bytes: Uint8Array, from: number, to: number): number {
  let crc = 0xffffffff;
  for (let i = from; i < to; i++) crc = (CRC_TABLE[(crc ^ (bytes[i] ?? 0)) & 255] ?? 0) ^ (crc >>> 8);
  return (crc ^ 0xffffffff) >>> 0;
}

export interface PngHeader {
  readonly bitDepth: number;
  /** 0 grey, 2 RGB, 3 palette, 4 grey + alpha, 6 RGBA */
  readonly colourType: number;
}

/**
 * Reads IHDR and checks every chunk before the picture data. Pillow refuses a wrong checksum there, but libspng does
 * not.
 */
export function readPngHeader(bytes: Uint8Array, maxPixels: number): PngHeader {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let header: PngHeader | undefined;
  for (let at = 8; at + 12 <= bytes.length;) {
    const length = view.getUint32(at);
    const type = String.fromCharCode(...bytes.subarray(at + 4, at + 8));
    if (type === 'IDAT' || type === 'fdAT' || type === 'IEND') break;
    const end = at + 8 + length;
    if (end + 4 > bytes.length) throw corrupt('PNG', `ends inside its ${JSON.stringify(type)} chunk`);
    if (crc32(bytes, at + 4, end) !== view.getUint32(end))
      throw corrupt('PNG', `has a wrong checksum in its ${JSON.stringify(type)} chunk`);
    if (type === 'CgBI') throw unsupported('PNG', 'uses the private variant of iPhone apps (CgBI)');
    if (type === 'IHDR' && length >= 13) {
      checkSize('PNG', view.getUint32(at + 8), view.getUint32(at + 12), { maxPixels });
      header = { bitDepth: bytes[at + 16] ?? 0, colourType: bytes[at + 17] ?? 0 };
    }
    at = end + 4;
  }
  if (header === undefined) throw corrupt('PNG', 'has no header');
  return header;
}
