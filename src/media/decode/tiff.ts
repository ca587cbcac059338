import { unsupported } from './decode-error.js';
import { decodeWithSharp, type SharpRoute } from './sharp.js';
import type { MediaLimits } from '../limits.js';
import type { RawPicture } from '../resample/resample.js';
import { readTiffHeader, type TiffHeader } from './tiff-header.js';
import { libtiffYcbcrToRgb, pillowYcbcrToRgb } from './ycbcr.js';

const NONE = 1;
const JPEG = 7;
/**
 * None, the three of fax, LZW, JPEG, deflate (two numbers), PackBits. sharp turns ZSTD and LZMA into noise, silently.
 */
const COMPRESSIONS = [NONE, 2, 3, 4, 5, JPEG, 8, 32946, 32773];
const YCBCR = 6;

function checkKind({ compression, photometric, subsampling, bits, sampleFormat }: TiffHeader): void {
  if (!COMPRESSIONS.includes(compression)) throw unsupported('TIFF', `is compressed by method ${compression}`);
  if (![0, 1, 2, 3, 5, YCBCR].includes(photometric)) throw unsupported('TIFF', `has colours of kind ${photometric}`);
  if (photometric === YCBCR && compression !== JPEG && subsampling.some((step) => step !== 1)) {
    throw unsupported('TIFF', 'has subsampled colours without JPEG compression');
  }
  if (sampleFormat === 3 && bits[0] !== 32) throw unsupported('TIFF', `has floating-point samples of ${bits[0]} bits`);
  if (sampleFormat === 2 && bits[0] === 8) throw unsupported('TIFF', 'has signed samples of 8 bits');
}

function chooseRoute({ photometric, bits, samples, sampleFormat }: TiffHeader): SharpRoute {
  if (photometric === 5) return bits[0] === 16 ? 'cmyk16' : 'cmyk';
  if (photometric > 1 || bits[0] !== 16 || samples !== 1 || sampleFormat === 3) return 'rgb';
  // Pillow does not turn 16-bit greys round where 0 is white, libvips does
  return photometric === 0 && sampleFormat === 1 ? 'inverted-grey16' : 'grey16';
}

/** The first page of a TIFF, turned as its Orientation says (Pillow does the same for TIFF only). */
export async function decodeTiff(bytes: Uint8Array, limits: MediaLimits): Promise<RawPicture> {
  const header = readTiffHeader(bytes, limits.maxPixels);
  checkKind(header);
  const picture = await decodeWithSharp(
    bytes,
    { format: 'TIFF', route: chooseRoute(header), orient: header.orientation > 1 },
    limits,
  );
  if (header.photometric !== YCBCR || header.compression === JPEG || header.samples !== 3) return picture;
  // libvips hands such colours over as they are stored; Pillow converts plain files itself and leaves the others to
  // libtiff
  (header.compression === NONE ? pillowYcbcrToRgb : libtiffYcbcrToRgb)(picture.data);
  return picture;
}
