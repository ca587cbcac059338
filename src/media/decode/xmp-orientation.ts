/**
 * Returns the orientation in an XMP packet, 1 … 8, or 1 if there is none. Pillow uses it if EXIF has no orientation,
 * and searches for these characters in attributes and elements.
 */
export function xmpOrientation(packet: Uint8Array): number {
  const found = /tiff:Orientation(?:="|>)([1-8])/.exec(Buffer.from(packet).toString('latin1'));
  return found === null ? 1 : Number(found[1]);
}

const JPEG_XMP = 'http://ns.adobe.com/xap/1.0/\0';
const PNG_XMP = 'XML:com.adobe.xmp\0';
const latin1 = (bytes: Uint8Array, from: number, length: number): string =>
  String.fromCharCode(...bytes.subarray(from, from + length));

/** Returns the XMP packet of a JPEG: the last APP1 segment with XMP. */
export function findJpegXmp(bytes: Uint8Array): Uint8Array {
  let packet = new Uint8Array();
  for (let at = 2; at + 4 <= bytes.length && bytes[at] === 0xff && bytes[at + 1] !== 0xda;) {
    const length = ((bytes[at + 2] ?? 0) << 8) | (bytes[at + 3] ?? 0);
    if (bytes[at + 1] === 0xe1 && latin1(bytes, at + 4, JPEG_XMP.length) === JPEG_XMP)
      packet = Uint8Array.from(bytes.subarray(at + 4 + JPEG_XMP.length, at + 2 + length));
    at += 2 + Math.max(2, length);
  }
  return packet;
}

/** Returns the XMP packet of a PNG, in an uncompressed iTXt chunk. */
export function findPngXmp(bytes: Uint8Array): Uint8Array {
  return findChunk(bytes, 8, false, (type, start) => type === 'iTXt' && latin1(bytes, start, 18) === PNG_XMP);
}

/** Returns the XMP chunk of a WebP. */
export function findWebpXmp(bytes: Uint8Array): Uint8Array {
  return findChunk(bytes, 12, true, (type) => type === 'XMP ');
}

/** RIFF: type, length (little-endian), data padded to two bytes. PNG: length, type, data, checksum. */
function findChunk(
  bytes: Uint8Array,
  from: number,
  riff: boolean,
  wanted: (type: string, start: number) => boolean,
): Uint8Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = from; at + 8 <= bytes.length;) {
    const length = riff ? view.getUint32(at + 4, true) : view.getUint32(at);
    if (wanted(latin1(bytes, riff ? at : at + 4, 4), at + 8)) return bytes.subarray(at + 8, at + 8 + length);
    at += riff ? 8 + length + (length % 2) : 12 + length;
  }
  return new Uint8Array();
}
