import { unsupported } from '../decode-error.js';
import type { TiffHeader } from './tiff-header.js';

/**
 * The kinds of TIFF that were compared with Pillow 13.0, in 8,500 files of every combination. All other kinds are
 * refused. In many of them, libvips and Pillow silently return different pixels, or one of them cannot read the file.
 */

/** The layouts in which a kind of sample equals Pillow. `coded` is with compression, `plain` without. */
interface Layouts {
  /** Big-endian files. Little-endian files are always read. Pillow swaps bytes that its decoder has already swapped. */
  readonly big?: 'plain' | 'never';
  /** The first pixel is in the lowest bit of a byte (FillOrder 2). */
  readonly reversed?: 'coded' | 'always';
  /** One plane per channel, in strips. */
  readonly planes?: 'plain' | 'coded' | 'always';
  readonly predictors?: readonly number[];
}

const BITS: Layouts = { reversed: 'always', predictors: [1] };
const FLOAT: Layouts = { big: 'plain', predictors: [1, 2, 3] };

/** Photometric, sample format and bits, channels + type of each extra channel (0 unspecified, 1 and 2 alpha). */
const KINDS: Readonly<Record<string, Layouts>> = {
  '0 u1 1': BITS,
  '0 u2 1': BITS,
  '0 u4 1': BITS,
  '0 u8 1': { reversed: 'coded' },
  '0 u16 1': { big: 'never' },
  '0 f32 1': FLOAT,
  '1 u1 1': BITS,
  '1 u2 1': BITS,
  '1 u4 1': BITS,
  '1 u8 1': { reversed: 'always' },
  '1 u8 2+0': {},
  '1 u8 2+2': {},
  '1 u16 1': { reversed: 'always' },
  '1 i16 1': { big: 'plain' },
  '1 u32 1': { big: 'never' },
  '1 i32 1': { big: 'plain' },
  '1 f32 1': FLOAT,
  '2 u8 3': { reversed: 'always', planes: 'always' },
  '2 u8 4': { planes: 'plain' },
  '2 u8 4+0': { planes: 'coded' },
  '2 u8 4+1': {},
  '2 u8 4+2': { planes: 'always' },
  '2 u8 4+999': { planes: 'always' },
  '2 u8 5+0,0': { planes: 'coded' },
  '2 u8 5+1,0': {},
  '2 u8 5+2,0': {},
  '2 u16 3': { planes: 'coded' },
  '2 u16 4': {},
  '2 u16 4+0': { planes: 'coded' },
  '2 u16 4+1': {},
  '2 u16 4+2': { planes: 'coded' },
  '3 u1 1': { reversed: 'coded', predictors: [1] },
  '3 u2 1': { reversed: 'coded', predictors: [1] },
  '3 u4 1': { reversed: 'coded', predictors: [1] },
  '3 u8 1': { reversed: 'always' },
  '3 u8 2+0': {},
  '3 u8 2+2': {},
  '5 u8 4': { planes: 'always' },
  '5 u8 5+0': { planes: 'coded' },
  '5 u16 4': { planes: 'coded' },
  '6 u8 3': {},
};

/** JPEG inside TIFF. True: separate planes are read too. */
const JPEG_KINDS: Readonly<Record<string, boolean>> = {
  '0 u8 1': false,
  '1 u8 1': false,
  '1 u8 2+2': false,
  '2 u8 3': true,
  '2 u8 4+0': false,
  '2 u8 4+2': false,
  '5 u8 4': true,
  '6 u8 3': false,
};

export const NONE = 1;
export const JPEG = 7;
export const YCBCR = 6;
const FAX = [2, 3, 4];
/** LZW and the two codes of deflate. */
const PREDICTED = [5, 8, 32946];
const PACKBITS = 32773;

const FORMATS: Readonly<Record<number, readonly [letter: string, name: string]>> = {
  1: ['u', 'unsigned'],
  2: ['i', 'signed'],
  3: ['f', 'float'],
};

const COLOURS: Readonly<Record<number, string>> = {
  0: 'grey, white is zero',
  1: 'grey',
  2: 'RGB',
  3: 'palette',
  4: 'transparency mask',
  5: 'CMYK',
  6: 'YCbCr',
  8: 'Lab',
  9: 'ICC Lab',
  10: 'ITU Lab',
  32803: 'colour filter array',
  32844: 'LogL',
  32845: 'LogLuv',
  34892: 'linear raw',
};

const COMPRESSIONS: Readonly<Record<number, string>> = {
  6: 'old-style JPEG',
  34712: 'JPEG 2000',
  34887: 'LERC',
  34925: 'LZMA',
  50000: 'Zstandard',
  50001: 'WebP',
  50002: 'JPEG XL',
};

function keyOf({ photometric, sampleFormat, bits, samples, extraSamples }: TiffHeader): string {
  const extra = extraSamples.length === 0 ? '' : `+${extraSamples.join(',')}`;
  return `${photometric} ${FORMATS[sampleFormat]?.[0] ?? '?'}${bits} ${samples}${extra}`;
}

/** For error messages: `32-bit float samples in 3 channels (RGB)`. */
function describe({ photometric, sampleFormat, bits, samples, extraSamples }: TiffHeader): string {
  const format = FORMATS[sampleFormat]?.[1] ?? `unknown (${sampleFormat})`;
  const extra = extraSamples.length === 0 ? '' : `, extra channels of kind ${extraSamples.join(' and ')}`;
  const channels = samples === 1 ? '1 channel' : `${samples} channels`;
  return `${bits}-bit ${format} samples in ${channels} (${COLOURS[photometric] ?? `colours of kind ${photometric}`}${extra})`;
}

const fits = (allowed: 'plain' | 'coded' | 'always' | undefined, coded: boolean): boolean =>
  allowed === 'always' || allowed === (coded ? 'coded' : 'plain');

/** Describes the first property of the layout that was not compared for this kind. Undefined if all were compared. */
function unknownLayout(header: TiffHeader, layouts: Layouts): string | undefined {
  const { compression, littleEndian, fillOrder, planar, tiled, predictor, bits } = header;
  const coded = compression !== NONE;
  if (!littleEndian && (layouts.big === 'never' || (layouts.big === 'plain' && coded)))
    return coded ? 'in compressed big-endian order' : 'in big-endian order';
  const reversible = fits(layouts.reversed, coded) && !(planar === 2 && !coded) && !(bits === 16 && !littleEndian);
  if (fillOrder === 2 && !reversible) return 'with reversed bits';
  if (planar === 2 && (tiled || !fits(layouts.planes, coded)))
    return `in ${coded ? 'compressed' : 'uncompressed'} separate planes${tiled ? ' of tiles' : ''}`;
  if (PREDICTED.includes(compression) && !(layouts.predictors ?? [1, 2]).includes(predictor))
    return `with predictor ${predictor}`;
  return undefined;
}

function unknownJpeg(header: TiffHeader): string | undefined {
  const planes = JPEG_KINDS[keyOf(header)];
  if (planes === undefined || (header.planar === 2 && (!planes || header.tiled))) return 'compressed as JPEG';
  if (header.fillOrder === 2) return 'compressed as JPEG with reversed bits';
  // libvips cuts off such a tile
  return header.oversizedTiles ? 'compressed as JPEG into tiles that are larger than their pixels' : undefined;
}

function unknownColours(header: TiffHeader): string | undefined {
  const { photometric, compression, subsampling, bits, colourMap } = header;
  if (photometric === YCBCR && compression !== JPEG) {
    if (subsampling.some((step) => step !== 1)) return 'subsampled without JPEG compression';
    if (compression !== NONE && !header.usualYcbcr) return 'with unusual YCbCr coefficients';
  }
  if (photometric === 5 && !header.plainInks) return 'with named inks';
  if (photometric !== 3) return undefined;
  if (colourMap.length !== 3 * 2 ** bits) return `with a palette of ${colourMap.length} numbers`;
  // Pillow takes the high byte and gets black; other readers treat such a palette as 8-bit
  return colourMap.some((value) => value > 255) ? undefined : 'with a palette whose numbers are all below 256';
}

/** @throws QalignError MEDIA_UNSUPPORTED with the kind, for every kind that was not equal to Pillow */
export function checkTiffKind(header: TiffHeader): void {
  const { compression, fillOrder, planar, tiled, mixedSamples } = header;
  if (mixedSamples) throw unsupported('TIFF', 'has channels of different sample formats or bits');
  const layouts = KINDS[keyOf(header)];
  const refuse = (how: string): never => {
    throw unsupported('TIFF', `has ${describe(header)}${how === '' ? '' : ` ${how}`}, which qalign does not read`);
  };
  if (layouts === undefined) return refuse('');
  if (![1, 2].includes(fillOrder) || ![1, 2].includes(planar))
    return refuse(`with fill order ${fillOrder} and planar configuration ${planar}`);
  const colours = unknownColours(header);
  if (colours !== undefined) return refuse(colours);
  if (compression === JPEG) {
    const unknown = unknownJpeg(header);
    return unknown === undefined ? undefined : refuse(unknown);
  }
  if (FAX.includes(compression)) return header.bits === 1 && !tiled ? undefined : refuse('in tiles of fax codes');
  if (compression !== NONE && compression !== PACKBITS && !PREDICTED.includes(compression))
    return refuse(`compressed by ${COMPRESSIONS[compression] ?? `method ${compression}`} (${compression})`);
  const unknown = unknownLayout(header, layouts);
  if (unknown !== undefined) refuse(unknown);
}
