import { createRequire } from 'node:module';
import { QalignError } from '../../base/errors.js';
import { checkSize, corrupt } from './decode-error.js';
import type { RawPicture } from '../resample/resample.js';

/**
 * HEIC and HEIF, the pictures of iPhones, through the optional package libheif-js (HEVC in WebAssembly). The primary
 * picture, 8 bits, alpha dropped, turned as the file says: as pillow-heif shows it. Pixels are within 2 levels of
 * pillow-heif for even-sized 8-bit 4:2:0, within 6 for odd sizes, other colour planes and more bits.
 */

interface Enum {
  readonly value: number;
}
interface HeifError {
  readonly code: Enum;
  readonly subcode: Enum;
  readonly message: string;
}
/** An opaque object of the library, or its error. */
type Outcome = object & Partial<HeifError>;
interface DecodedPicture {
  readonly image: object;
  readonly width: number;
  readonly height: number;
  readonly channels: readonly { readonly stride: number; readonly data: Uint8Array }[];
}

interface LibHeif {
  heif_get_version(): string;
  heif_context_alloc(): object;
  heif_context_free(context: object): void;
  heif_context_read_from_memory(context: object, bytes: Uint8Array): HeifError;
  heif_js_context_get_primary_image_handle(context: object): Outcome;
  heif_image_handle_get_width(handle: object): number;
  heif_image_handle_get_height(handle: object): number;
  heif_js_decode_image2(handle: object, colours: unknown, chroma: unknown): Outcome | DecodedPicture;
  heif_image_handle_release(handle: object): void;
  heif_image_release(image: object): void;
  readonly heif_colorspace: { readonly heif_colorspace_RGB: unknown };
  readonly heif_chroma: { readonly heif_chroma_interleaved_RGB: unknown };
}

const UNSUPPORTED = [3, 4];
const OUT_OF_MEMORY = 6;
const SECURITY_LIMIT = 1000;
/** Memory of WebAssembly never shrinks: after a picture of more pixels than this the library is loaded anew. */
const LARGE_PICTURE = 4_000_000;

const require = createRequire(import.meta.url);
let library: LibHeif | undefined;

function load(): LibHeif {
  if (library !== undefined) return library;
  let create: () => LibHeif;
  try {
    create = require('libheif-js/libheif-wasm/libheif-bundle.js') as () => LibHeif;
  } catch (cause) {
    throw new QalignError(
      'MEDIA_UNSUPPORTED',
      'The file is a HEIC/HEIF picture, which needs the package libheif-js; run "npm install libheif-js" beside qalign.',
      { cause },
    );
  }
  library = create();
  return library;
}

function heifError({ code, subcode, message }: HeifError): QalignError {
  const text = message.trim() || 'no reason given';
  if (code.value === OUT_OF_MEMORY || subcode.value === SECURITY_LIMIT)
    return new QalignError('MEDIA_TOO_LARGE', `The HEIF file needs more memory than libheif allows (${text}).`);
  if (UNSUPPORTED.includes(code.value))
    return new QalignError(
      'MEDIA_UNSUPPORTED',
      `The HEIF file is of a kind that libheif-js does not decode (${text}); convert it to PNG or JPEG.`,
    );
  return corrupt('HEIF', `cannot be decoded (${text})`);
}

const isError = (outcome: Outcome | DecodedPicture): outcome is HeifError => 'code' in outcome;

function packRows({ channels: [plane] }: DecodedPicture, width: number, height: number): Uint8Array {
  if (plane === undefined || plane.data.length < plane.stride * (height - 1) + width * 3)
    throw corrupt('HEIF', 'decodes to fewer pixels than it says');
  const data = new Uint8Array(width * height * 3);
  for (let y = 0; y < height; y++)
    data.set(plane.data.subarray(y * plane.stride, y * plane.stride + width * 3), y * width * 3);
  return data;
}

function decodeIn(lib: LibHeif, context: object, bytes: Uint8Array, maxPixels: number): RawPicture {
  const read = lib.heif_context_read_from_memory(context, bytes);
  if (read.code.value !== 0) throw heifError(read);
  const handle = lib.heif_js_context_get_primary_image_handle(context);
  if (isError(handle)) throw heifError(handle);
  try {
    const width = lib.heif_image_handle_get_width(handle);
    const height = lib.heif_image_handle_get_height(handle);
    checkSize('HEIF', width, height, maxPixels);
    const picture = lib.heif_js_decode_image2(
      handle,
      lib.heif_colorspace.heif_colorspace_RGB,
      lib.heif_chroma.heif_chroma_interleaved_RGB,
    );
    if (isError(picture)) throw heifError(picture);
    const { image, width: decodedWidth, height: decodedHeight } = picture as DecodedPicture;
    try {
      checkSize('HEIF', decodedWidth, decodedHeight, maxPixels);
      const data = packRows(picture as DecodedPicture, decodedWidth, decodedHeight);
      return { width: decodedWidth, height: decodedHeight, data, decoder: `libheif-js ${lib.heif_get_version()}` };
    } finally {
      lib.heif_image_release(image);
    }
  } finally {
    lib.heif_image_handle_release(handle);
  }
}

/**
 * Decodes on the calling thread, without a pause: some 0.3 s a megapixel.
 *
 * @throws QalignError MEDIA_UNSUPPORTED (also without the package), MEDIA_CORRUPT or MEDIA_TOO_LARGE
 */
export function decodeHeif(bytes: Uint8Array, maxPixels: number): RawPicture {
  const lib = load();
  try {
    const context = lib.heif_context_alloc();
    try {
      const picture = decodeIn(lib, context, bytes, maxPixels);
      if (picture.width * picture.height > LARGE_PICTURE) library = undefined;
      return picture;
    } finally {
      lib.heif_context_free(context);
    }
  } catch (error) {
    if (error instanceof QalignError) throw error;
    // the library aborted and cannot be used any more
    library = undefined;
    throw corrupt('HEIF', 'cannot be decoded: the decoder stopped', error);
  }
}
