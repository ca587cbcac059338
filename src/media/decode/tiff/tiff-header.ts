import { checkSize, corrupt } from '../decode-error.js';
import { findRaw } from './tiff-raw.js';
import { readTiffTags, TAG, type TiffTags } from './tiff-tags.js';
import { xmpOrientation } from '../xmp-orientation.js';

/** The entries of the first directory of a TIFF. A missing entry gets the default of Pillow. */
export interface TiffHeader {
  readonly width: number;
  readonly height: number;
  readonly littleEndian: boolean;
  /** Bits per sample. */
  readonly bits: number;
  readonly compression: number;
  /** 0 white is zero, 1 black is zero, 2 RGB, 3 palette, 5 CMYK, 6 YCbCr, 8 Lab */
  readonly photometric: number;
  readonly samples: number;
  readonly planar: number;
  /** 1 unsigned, 2 signed, 3 float */
  readonly sampleFormat: number;
  /** The channels have different formats or sizes. */
  readonly mixedSamples: boolean;
  readonly extraSamples: readonly number[];
  readonly fillOrder: number;
  readonly predictor: number;
  readonly tiled: boolean;
  /** At least one compressed tile has more bytes than its pixels. */
  readonly oversizedTiles: boolean;
  readonly colourMap: readonly number[];
  /** Horizontal and vertical subsampling of YCbCr. */
  readonly subsampling: readonly number[];
  /** The YCbCr coefficients and reference levels are those of JPEG. */
  readonly usualYcbcr: boolean;
  /** The inks are cyan, magenta, yellow and black, without names. */
  readonly plainInks: boolean;
  readonly orientation: number;
  /** Orientation from XMP, which Pillow uses if the file has no Orientation tag. */
  readonly xmpOrientation: number;
  /** Offset of the value of ExtraSamples, if it has exactly one value. */
  readonly extraSampleAt: number | undefined;
}

/**
 * Refuses a file that ends before its pixels, because the libtiff in sharp would fill the rest with arbitrary values.
 * The length of uncompressed data is computed from the size, not read from the file.
 */
function checkComplete(tags: TiffTags, header: TiffHeader, fileBytes: number): void {
  const { offsets, counts, tileBytes } = chunksOf(tags, header);
  if (offsets.length === 0) throw corrupt('TIFF', 'has no offsets of its pixels');
  const { rows: down, rowBytes } = tileBytes;
  const perPlane = Math.max(1, Math.ceil(header.height / Math.max(down, 1)));
  offsets.forEach((offset, i) => {
    const rows = header.tiled ? down : Math.min(down, header.height - (i % perPlane) * down);
    const length = header.compression === 1 ? rowBytes * rows : (counts[i] ?? 0);
    if (offset + length > fileBytes) throw corrupt('TIFF', 'is truncated: it ends before its last pixel');
  });
}

/** The strips or tiles: their offsets, their lengths, and the size of one. */
function chunksOf(
  tags: TiffTags,
  { tiled, width, height, bits, planar, samples }: Omit<TiffHeader, 'oversizedTiles'>,
): {
  offsets: readonly number[];
  counts: readonly number[];
  tileBytes: { rows: number; rowBytes: number };
} {
  const first = (tag: number, missing: number): number => tags.values.get(tag)?.[0] ?? missing;
  const across = tiled ? first(TAG.tileWidth, 0) : width;
  const rows = tiled ? first(TAG.tileHeight, 0) : Math.min(first(TAG.rowsPerStrip, height), height);
  return {
    offsets: tags.values.get(tiled ? TAG.tileOffsets : TAG.stripOffsets) ?? [],
    counts: tags.values.get(tiled ? TAG.tileBytes : TAG.stripBytes) ?? [],
    tileBytes: { rows, rowBytes: Math.ceil((across * bits * (planar === 2 ? 1 : samples)) / 8) },
  };
}

const near = (values: readonly number[] | undefined, usual: readonly number[]): boolean =>
  values === undefined || usual.every((value, i) => Math.abs((values[i] ?? NaN) - value) < 1e-3);

const allEqual = (values: readonly number[]): boolean => values.every((value) => value === values[0]);

/** @throws QalignError MEDIA_CORRUPT, MEDIA_TOO_LARGE, or MEDIA_UNSUPPORTED for camera raw files */
export function readTiffHeader(bytes: Uint8Array, maxPixels: number): TiffHeader {
  const littleEndian = bytes[0] === 0x49;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let tags: TiffTags;
  try {
    tags = readTiffTags(view, littleEndian);
  } catch (error) {
    throw corrupt('TIFF', 'has a directory outside the file', error);
  }
  const raw = findRaw(view, littleEndian, tags);
  if (raw !== undefined) throw raw;
  const { values } = tags;
  const first = (tag: number, missing: number): number => values.get(tag)?.[0] ?? missing;
  const [width, height] = [first(TAG.width, 0), first(TAG.height, 0)];
  checkSize('TIFF', width, height, { maxPixels });
  const samples = first(TAG.samples, 1);
  const stated = values.get(TAG.bits) ?? [1];
  const bits = stated.length > samples ? stated.slice(0, samples) : stated;
  const formats = values.get(TAG.sampleFormat) ?? [1];
  const header = {
    width,
    height,
    littleEndian,
    bits: bits[0] ?? 1,
    compression: first(TAG.compression, 1),
    photometric: first(TAG.photometric, 0),
    samples,
    planar: first(TAG.planar, 1),
    sampleFormat: formats[0] ?? 1,
    mixedSamples: !allEqual(bits) || !allEqual(formats) || (bits.length !== samples && bits.length !== 1),
    extraSamples: values.get(TAG.extraSamples) ?? [],
    fillOrder: first(TAG.fillOrder, 1),
    predictor: first(TAG.predictor, 1),
    tiled: values.has(TAG.tileOffsets),
    colourMap: values.get(TAG.colourMap) ?? [],
    subsampling: values.get(TAG.subsampling) ?? [2, 2],
    usualYcbcr:
      near(values.get(TAG.ycbcrCoefficients), [0.299, 0.587, 0.114]) &&
      near(values.get(TAG.referenceBlackWhite), [0, 255, 128, 255, 128, 255]),
    plainInks: first(TAG.inkSet, 1) === 1,
    orientation: first(TAG.orientation, 1),
    xmpOrientation: values.has(TAG.orientation) ? 1 : xmpOrientation(tags.xmp),
    extraSampleAt: tags.extraSampleAt,
  };
  const { counts, tileBytes } = chunksOf(tags, header);
  const oversizedTiles = header.tiled && counts.some((count) => count > tileBytes.rows * tileBytes.rowBytes);
  checkComplete(tags, { ...header, oversizedTiles }, bytes.length);
  return { ...header, oversizedTiles };
}
