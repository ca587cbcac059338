import { QalignError } from '../../base/errors.js';
import { checkSize, corrupt, type SizeLimits } from './decode-error.js';
import {
  findHeifPackage,
  loadHeifLibrary,
  type DecodedHeif,
  type HeifError,
  type HeifFunctions,
  type HeifLibrary,
  type HeifOutcome,
} from './heif-library.js';
import type { RawPicture } from '../resample/resample.js';

/**
 * Decodes HEIC and HEIF, the formats of iPhones, with the optional package libheif-js (HEVC in WebAssembly). Returns
 * the primary picture in 8 bits, without alpha, rotated by the boxes of the file. The pixels equal those of pillow-heif
 * for all tested kinds.
 */

const UNSUPPORTED = [3, 4];
const OUT_OF_MEMORY = 6;
const SECURITY_LIMIT = 1000;
/** WebAssembly memory never shrinks, so the library is loaded again after a picture with more pixels than this. */
const LARGE_PICTURE = 4_000_000;
/** Estimate: planes, tiles and the picture in WebAssembly, and two copies outside. */
const PIXEL_BYTES = 16;

let library: HeifLibrary | undefined;

function heifError({ code, subcode, message }: HeifError): QalignError {
  const text = message.trim() || 'no reason given';
  if (code.value === OUT_OF_MEMORY || subcode.value === SECURITY_LIMIT)
    return new QalignError(
      'MEDIA_TOO_LARGE',
      `The HEIF file needs more memory than libheif allows (${text}); make the picture smaller.`,
    );
  if (UNSUPPORTED.includes(code.value))
    return new QalignError(
      'MEDIA_UNSUPPORTED',
      `The HEIF file is of a kind that libheif-js does not decode (${text}); convert it to PNG or JPEG.`,
    );
  return corrupt('HEIF', `cannot be decoded (${text})`);
}

const isError = (outcome: HeifOutcome | DecodedHeif): outcome is HeifError => 'code' in outcome;

function packRows({ channels: [plane], width, height }: DecodedHeif): Uint8Array {
  if (plane === undefined || plane.data.length < plane.stride * (height - 1) + width * 3)
    throw corrupt('HEIF', 'decodes to fewer pixels than it declares');
  const data = new Uint8Array(width * height * 3);
  for (let y = 0; y < height; y++)
    data.set(plane.data.subarray(y * plane.stride, y * plane.stride + width * 3), y * width * 3);
  return data;
}

function decodeIn(lib: HeifFunctions, context: object, bytes: Uint8Array, limits: SizeLimits): RawPicture {
  const read = lib.heif_context_read_from_memory(context, bytes);
  if (read.code.value !== 0) throw heifError(read);
  const handle = lib.heif_js_context_get_primary_image_handle(context);
  if (isError(handle)) throw heifError(handle);
  try {
    const [width, height] = [lib.heif_image_handle_get_width(handle), lib.heif_image_handle_get_height(handle)];
    checkSize('HEIF', width, height, limits, PIXEL_BYTES);
    const decoded = lib.heif_js_decode_image2(
      handle,
      lib.heif_colorspace.heif_colorspace_RGB,
      lib.heif_chroma.heif_chroma_interleaved_RGB,
    );
    if (isError(decoded)) throw heifError(decoded);
    const picture = decoded as DecodedHeif;
    try {
      checkSize('HEIF', picture.width, picture.height, limits, PIXEL_BYTES);
      return { width: picture.width, height: picture.height, data: packRows(picture) };
    } finally {
      lib.heif_image_release(picture.image);
    }
  } finally {
    lib.heif_image_handle_release(handle);
  }
}

/**
 * Decodes on the calling thread and blocks it: 2–4 s for 12 megapixels.
 *
 * @param find returns the parts of libheif-js, or throws if it is not installed
 * @throws QalignError MEDIA_UNSUPPORTED (also without the package), MEDIA_CORRUPT or MEDIA_TOO_LARGE
 */
export function decodeHeif(bytes: Uint8Array, limits: SizeLimits, find = findHeifPackage): RawPicture {
  library ??= loadHeifLibrary(find);
  const { functions, filtered } = library;
  try {
    const context = functions.heif_context_alloc();
    try {
      const picture = decodeIn(functions, context, bytes, limits);
      if (picture.width * picture.height > LARGE_PICTURE) library = undefined;
      const decoder = `libheif-js ${functions.heif_get_version()}`;
      return filtered ? { ...picture, decoder } : { ...picture, decoder, warnings: [`${decoder} ${UNFILTERED}`] };
    } finally {
      functions.heif_context_free(context);
    }
  } catch (error) {
    if (error instanceof QalignError) throw error;
    // the library aborted and cannot be used again
    library = undefined;
    throw corrupt('HEIF', 'cannot be decoded because the decoder stopped', error);
  }
}

const UNFILTERED = 'decodes HEIC without loop filters, so block edges are visible; install version 1.23.2';
