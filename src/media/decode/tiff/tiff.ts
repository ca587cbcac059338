import { decodeWithSharp, type SharpRoute } from '../sharp.js';
import type { DecodeLimits } from '../../budget/needs-memory.js';
import type { RawPicture } from '../../resample/resample.js';
import { turnPicture } from '../turn.js';
import { readTiffHeader, type TiffHeader } from './tiff-header.js';
import { checkTiffKind, JPEG, NONE, YCBCR } from './tiff-kinds.js';
import { libtiffYcbcrToRgb, pillowYcbcrToRgb } from './ycbcr.js';

const ASSOCIATED = 1;
const UNASSOCIATED = 2;

function chooseRoute({ photometric, bits, samples, sampleFormat, extraSamples }: TiffHeader): SharpRoute {
  if (photometric === 5) return bits === 16 ? 'cmyk16' : 'cmyk';
  if (photometric === 2 && extraSamples[0] === ASSOCIATED) return 'associated';
  if (photometric > 1 || bits !== 16 || samples !== 1 || sampleFormat === 3) return 'rgb';
  // for 16-bit grey with white as 0, libvips inverts the values and Pillow does not
  return photometric === 0 && sampleFormat === 1 ? 'inverted-grey16' : 'grey16';
}

/** A copy that declares its alpha as unassociated, so that libvips does not change the stored colours. */
function withStoredColours(bytes: Uint8Array, { extraSampleAt, littleEndian }: TiffHeader): Uint8Array {
  if (extraSampleAt === undefined) return bytes;
  const copy = Uint8Array.from(bytes);
  new DataView(copy.buffer).setUint16(extraSampleAt, UNASSOCIATED, littleEndian);
  return copy;
}

/** Decodes the first page of a TIFF and applies its Orientation (Pillow does so only for TIFF). */
export async function decodeTiff(bytes: Uint8Array, limits: DecodeLimits): Promise<RawPicture> {
  const header = readTiffHeader(bytes, limits.maxPixels);
  checkTiffKind(header);
  const route = chooseRoute(header);
  const picture = await decodeWithSharp(
    route === 'associated' ? withStoredColours(bytes, header) : bytes,
    { format: 'TIFF', route, orient: header.orientation > 1 },
    limits,
  );
  if (header.photometric === YCBCR && header.compression !== JPEG) {
    // libvips returns these colours as stored; Pillow converts uncompressed files itself and uses libtiff for the
    // others
    (header.compression === NONE ? pillowYcbcrToRgb : libtiffYcbcrToRgb)(picture.data);
  }
  return turnPicture(picture, header.xmpOrientation);
}
