/** Numbers of the tags that are read. */
export const TAG = {
  subfileType: 254,
  width: 256,
  height: 257,
  bits: 258,
  compression: 259,
  photometric: 262,
  fillOrder: 266,
  stripOffsets: 273,
  orientation: 274,
  samples: 277,
  rowsPerStrip: 278,
  stripBytes: 279,
  planar: 284,
  predictor: 317,
  colourMap: 320,
  tileWidth: 322,
  tileHeight: 323,
  tileOffsets: 324,
  tileBytes: 325,
  subDirectories: 330,
  inkSet: 332,
  extraSamples: 338,
  sampleFormat: 339,
  jpegTables: 347,
  ycbcrCoefficients: 529,
  subsampling: 530,
  referenceBlackWhite: 532,
  xmp: 700,
  dngVersion: 50706,
} as const;

/** Bytes per value, by type. Type 5 is a fraction of two 32-bit numbers. */
const TYPE_BYTES: Readonly<Record<number, number>> = { 1: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 13: 4, 16: 8 };
const FRACTION = 5;

/** The only tags whose values are all read. */
const LONG_TAGS = new Set<number>([TAG.stripOffsets, TAG.stripBytes, TAG.tileOffsets, TAG.tileBytes, TAG.colourMap]);
/** If one of these is missing, libtiff silently decodes other pixels. */
const NEEDED_TAGS = new Set<number>([...LONG_TAGS, TAG.bits, TAG.jpegTables]);

export interface TiffTags {
  /** Values of integer tags. At most 16 values per tag, except for the long tags. */
  readonly values: ReadonlyMap<number, readonly number[]>;
  readonly xmp: Uint8Array;
  /** Offset of the single value of ExtraSamples. */
  readonly extraSampleAt: number | undefined;
  /** Offset of the next directory, 0 after the last. */
  readonly next: number;
}

/**
 * Reads the directory at `at`, or the first directory. If a tag appears twice, the first entry wins, as in libtiff.
 *
 * @throws RangeError if the directory, or a required value, is outside the file
 */
export function readTiffTags(view: DataView, little: boolean, at?: number): TiffTags {
  const big = view.getUint16(2, little) === 43;
  const offset = (from: number): number =>
    big ? Number(view.getBigUint64(from, little)) : view.getUint32(from, little);
  const number = (from: number, bytes: number): number =>
    bytes === 1
      ? view.getUint8(from)
      : bytes === 2
        ? view.getUint16(from, little)
        : bytes === 4
          ? view.getUint32(from, little)
          : Number(view.getBigUint64(from, little));
  const directory = at ?? offset(big ? 8 : 4);
  const entries = Math.min(big ? offset(directory) : view.getUint16(directory, little), 4096);
  const values = new Map<number, number[]>();
  let xmp: Uint8Array = new Uint8Array();
  let extraSampleAt: number | undefined;
  for (let i = 0; i < entries; i++) {
    const entry = directory + (big ? 8 + i * 20 : 2 + i * 12);
    const type = view.getUint16(entry + 2, little);
    const bytes = TYPE_BYTES[type];
    if (bytes === undefined) continue;
    const tag = view.getUint16(entry, little);
    if (values.has(tag)) continue;
    const count = offset(entry + 4);
    const inside = entry + (big ? 12 : 8);
    const start = count * bytes <= (big ? 8 : 4) ? inside : offset(inside);
    if (start + count * bytes > view.byteLength && NEEDED_TAGS.has(tag))
      throw new RangeError(`tag ${tag} has ${count} values`);
    if (tag === TAG.xmp) {
      xmp = new Uint8Array(view.buffer, view.byteOffset).subarray(start, start + count * bytes);
      continue;
    }
    if (tag === TAG.extraSamples && bytes === 2) extraSampleAt = start;
    values.set(
      tag,
      Array.from({ length: LONG_TAGS.has(tag) ? count : Math.min(count, 16) }, (_, k) =>
        type === FRACTION ? number(start + k * 8, 4) / number(start + k * 8 + 4, 4) : number(start + k * bytes, bytes),
      ),
    );
  }
  const end = directory + (big ? 8 + entries * 20 : 2 + entries * 12);
  return { values, xmp, extraSampleAt, next: end + (big ? 8 : 4) <= view.byteLength ? offset(end) : 0 };
}
