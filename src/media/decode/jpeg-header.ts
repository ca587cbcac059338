import { checkSize, corrupt, unsupported } from './decode-error.js';

/**
 * Coding processes (the number in the frame marker) that were compared with Pillow: baseline, extended, progressive,
 * lossless; extended and progressive with arithmetic coding.
 */
const PROCESSES = [0, 1, 2, 3, 9, 10];

/**
 * Reads the number of colour components (1, 3 or 4) from the frame header. Stray bytes between segments are skipped, as
 * in libjpeg.
 */
export function readJpegComponents(bytes: Uint8Array, maxPixels: number): number {
  let at = 2;
  while (at + 9 < bytes.length) {
    if (bytes[at] !== 0xff) {
      at++;
      continue;
    }
    const marker = bytes[at + 1] ?? 0;
    if (marker === 0xff || marker === 0 || marker === 1 || (marker >= 0xd0 && marker <= 0xd8)) {
      at += marker === 0xff ? 1 : 2;
      continue;
    }
    if (marker === 0xd9 || marker === 0xda) break;
    const length = ((bytes[at + 2] ?? 0) << 8) | (bytes[at + 3] ?? 0);
    if (marker === 0xf7) throw unsupported('JPEG', 'is a JPEG-LS picture');
    if (marker >= 0xc0 && marker <= 0xcf && marker !== 0xc4 && marker !== 0xc8 && marker !== 0xcc) {
      const process = marker - 0xc0;
      if (!PROCESSES.includes(process)) throw unsupported('JPEG', `is coded by process ${process}`);
      checkSize(
        'JPEG',
        ((bytes[at + 7] ?? 0) << 8) | (bytes[at + 8] ?? 0),
        ((bytes[at + 5] ?? 0) << 8) | (bytes[at + 6] ?? 0),
        { maxPixels },
      );
      const components = bytes[at + 9] ?? 0;
      if (bytes[at + 4] !== 8) throw unsupported('JPEG', `has ${bytes[at + 4]} bits a sample`);
      if (components !== 1 && components !== 3 && components !== 4)
        throw unsupported('JPEG', `has ${components} colour components`);
      return components;
    }
    at += 2 + Math.max(length, 2);
  }
  throw corrupt('JPEG', 'ends before its frame header');
}
