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
  // Pillow does not turn 16-bit greys round where 0 is white, libvips does
  return photometric === 0 && sampleFormat === 1 ? 'inverted-grey16' : 'grey16';
}

/** A copy whose alpha counts as unassociated: libvips then leaves the colours as they are stored. */
function withStoredColours(bytes: Uint8Array, { extraSampleAt, littleEndian }: TiffHeader): Uint8Array {
  if (extraSampleAt === undefined) return bytes;
  const copy = Uint8Array.from(bytes);
  new DataView(copy.buffer).setUint16(extraSampleAt, UNASSOCIATED, littleEndian);
  return copy;
}

/** The first page of a TIFF, turned as its Orientation says (Pillow does the same for TIFF only). */
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
    // libvips hands such colours over as they are stored; Pillow converts plain files itself and leaves the others to
    // libtiff
    (header.compression === NONE ? pillowYcbcrToRgb : libtiffYcbcrToRgb)(picture.data);
  }
  return turnPicture(picture, header.xmpOrientation);
}
