import { checkSize, corrupt } from '../decode-error.js';
import { findRaw } from './tiff-raw.js';
import { readTiffTags, TAG, type TiffTags } from './tiff-tags.js';
import { xmpOrientation } from '../xmp-orientation.js';

/** What the first directory of a TIFF says; a missing entry has the value that Pillow takes for it. */
export interface TiffHeader {
  readonly width: number;
  readonly height: number;
  readonly littleEndian: boolean;
  /** Of one sample. */
  readonly bits: number;
  readonly compression: number;
  /** 0 white is zero, 1 black is zero, 2 RGB, 3 palette, 5 CMYK, 6 YCbCr, 8 Lab */
  readonly photometric: number;
  readonly samples: number;
  readonly planar: number;
  /** 1 unsigned, 2 signed, 3 float */
  readonly sampleFormat: number;
  /** The channels are not all of one format and size. */
  readonly mixedSamples: boolean;
  readonly extraSamples: readonly number[];
  readonly fillOrder: number;
  readonly predictor: number;
  readonly tiled: boolean;
  /** Some compressed tile has more bytes than its pixels. */
  readonly oversizedTiles: boolean;
  readonly colourMap: readonly number[];
  /** Of YCbCr, across and down. */
  readonly subsampling: readonly number[];
  /** The coefficients and the reference levels of YCbCr are those of JPEG. */
  readonly usualYcbcr: boolean;
  /** Cyan, magenta, yellow and black, unnamed. */
  readonly plainInks: boolean;
  readonly orientation: number;
  /** From XMP, which Pillow goes by where the file has no Orientation. */
  readonly xmpOrientation: number;
  /** Where the value of ExtraSamples stands, when it is a single one. */
  readonly extraSampleAt: number | undefined;
}

/**
 * Refuses a file that ends before its pixels do: libtiff, as built into sharp, fills the rest with what it likes.
 * What is stored plainly counts by its true length, whatever the file says about it.
 */
function checkComplete(tags: TiffTags, header: TiffHeader, fileBytes: number): void {
  const { offsets, counts, tileBytes } = chunksOf(tags, header);
  if (offsets.length === 0) throw corrupt('TIFF', 'does not say where its pixels are');
  const { rows: down, rowBytes } = tileBytes;
  const perPlane = Math.max(1, Math.ceil(header.height / Math.max(down, 1)));
  offsets.forEach((offset, i) => {
    const rows = header.tiled ? down : Math.min(down, header.height - (i % perPlane) * down);
    const length = header.compression === 1 ? rowBytes * rows : (counts[i] ?? 0);
    if (offset + length > fileBytes) throw corrupt('TIFF', 'is truncated: it ends before its last pixel');
  });
}

/** Strips or tiles: where they are, how long they are, and the pixels of one. */
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
