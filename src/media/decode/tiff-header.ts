import { checkSize, corrupt } from './decode-error.js';

/** What the first directory of a TIFF says; a missing entry has the value that Pillow takes for it. */
export interface TiffHeader {
  readonly width: number;
  readonly height: number;
  readonly littleEndian: boolean;
  readonly bits: readonly number[];
  readonly compression: number;
  /** 0 white is zero, 1 black is zero, 2 RGB, 3 palette, 5 CMYK, 6 YCbCr, 8 Lab */
  readonly photometric: number;
  readonly samples: number;
  readonly planar: number;
  /** 1 unsigned, 2 signed, 3 float */
  readonly sampleFormat: number;
  readonly extraSamples: readonly number[];
  readonly orientation: number;
  /** Of YCbCr, across and down. */
  readonly subsampling: readonly number[];
}

const TYPE_BYTES: Readonly<Record<number, number>> = { 1: 1, 3: 2, 4: 4, 6: 1, 7: 1, 8: 2, 9: 4, 13: 4, 16: 8 };

type Tags = ReadonlyMap<number, readonly number[]>;

/** Where strips and tiles lie: the only entries that are read whole. */
const STRIP_OFFSETS = 273;
const STRIP_BYTES = 279;
const TILE_OFFSETS = 324;
const TILE_BYTES = 325;
const LONG_TAGS = new Set([STRIP_OFFSETS, STRIP_BYTES, TILE_OFFSETS, TILE_BYTES]);
/** Without these (colour map, JPEG tables) libtiff silently decodes something else. */
const NEEDED_TAGS = new Set([...LONG_TAGS, 258, 320, 347]);

/** Integer entries of the first directory: tag → values (at most 16 each but for the long ones). */
function readTags(view: DataView, little: boolean): Tags {
  const big = view.getUint16(2, little) === 43;
  const offset = (at: number): number => (big ? Number(view.getBigUint64(at, little)) : view.getUint32(at, little));
  const number = (at: number, bytes: number): number =>
    bytes === 1
      ? view.getUint8(at)
      : bytes === 2
        ? view.getUint16(at, little)
        : bytes === 4
          ? view.getUint32(at, little)
          : Number(view.getBigUint64(at, little));
  const directory = offset(big ? 8 : 4);
  const entries = big ? offset(directory) : view.getUint16(directory, little);
  const tags = new Map<number, number[]>();
  for (let i = 0; i < Math.min(entries, 4096); i++) {
    const at = directory + (big ? 8 + i * 20 : 2 + i * 12);
    const bytes = TYPE_BYTES[view.getUint16(at + 2, little)];
    if (bytes === undefined) continue;
    const count = offset(at + 4);
    const inside = at + (big ? 12 : 8);
    const start = count * bytes <= (big ? 8 : 4) ? inside : offset(inside);
    const tag = view.getUint16(at, little);
    if (start + count * bytes > view.byteLength && NEEDED_TAGS.has(tag))
      throw new RangeError(`tag ${tag} has ${count} values`);
    tags.set(
      tag,
      Array.from({ length: LONG_TAGS.has(tag) ? count : Math.min(count, 16) }, (_, k) =>
        number(start + k * bytes, bytes),
      ),
    );
  }
  return tags;
}

/**
 * Refuses a file that ends before its pixels do: libtiff, as built into sharp, fills the rest with what it likes.
 * What is stored plainly counts by its true length, whatever the file says about it.
 */
function checkComplete(tags: Tags, header: TiffHeader, fileBytes: number): void {
  const tiled = tags.has(TILE_OFFSETS);
  const offsets = tags.get(tiled ? TILE_OFFSETS : STRIP_OFFSETS) ?? [];
  const counts = tags.get(tiled ? TILE_BYTES : STRIP_BYTES) ?? [];
  if (offsets.length === 0) throw corrupt('TIFF', 'does not say where its pixels are');
  const across = tiled ? (tags.get(322)?.[0] ?? 0) : header.width;
  const down = tiled ? (tags.get(323)?.[0] ?? 0) : Math.min(tags.get(278)?.[0] ?? header.height, header.height);
  const rowBytes = Math.ceil((across * (header.bits[0] ?? 1) * (header.planar === 2 ? 1 : header.samples)) / 8);
  const perPlane = Math.max(1, Math.ceil(header.height / Math.max(down, 1)));
  offsets.forEach((offset, i) => {
    const rows = tiled ? down : Math.min(down, header.height - (i % perPlane) * down);
    const plain = rowBytes * rows;
    const length = header.compression === 1 ? plain : (counts[i] ?? 0);
    if (offset + length > fileBytes) throw corrupt('TIFF', 'is truncated: it ends before its last pixel');
  });
}

export function readTiffHeader(bytes: Uint8Array, maxPixels: number): TiffHeader {
  const little = bytes[0] === 0x49;
  let tags: Tags;
  try {
    tags = readTags(new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), little);
  } catch (error) {
    throw corrupt('TIFF', 'has a directory outside the file', error);
  }
  const first = (tag: number, missing: number): number => tags.get(tag)?.[0] ?? missing;
  const width = first(256, 0);
  const height = first(257, 0);
  checkSize('TIFF', width, height, maxPixels);
  const header: TiffHeader = {
    width,
    height,
    littleEndian: little,
    bits: tags.get(258) ?? [1],
    compression: first(259, 1),
    photometric: first(262, 0),
    samples: first(277, 1),
    planar: first(284, 1),
    sampleFormat: first(339, 1),
    extraSamples: tags.get(338) ?? [],
    orientation: first(274, 1),
    subsampling: tags.get(530) ?? [2, 2],
  };
  checkComplete(tags, header, bytes.length);
  return header;
}
