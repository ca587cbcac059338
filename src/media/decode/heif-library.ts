import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { QalignError } from '../../base/errors.js';

interface Enum {
  readonly value: number;
}

export interface HeifError {
  readonly code: Enum;
  readonly subcode: Enum;
  readonly message: string;
}

/** An opaque object of the library, or an error. */
export type HeifOutcome = object & Partial<HeifError>;

export interface DecodedHeif {
  readonly image: object;
  readonly width: number;
  readonly height: number;
  readonly channels: readonly { readonly stride: number; readonly data: Uint8Array }[];
}

/** The functions of libheif-js that qalign uses. */
export interface HeifFunctions {
  heif_get_version(): string;
  heif_context_alloc(): object;
  heif_context_free(context: object): void;
  heif_context_read_from_memory(context: object, bytes: Uint8Array): HeifError;
  heif_js_context_get_primary_image_handle(context: object): HeifOutcome;
  heif_image_handle_get_width(handle: object): number;
  heif_image_handle_get_height(handle: object): number;
  heif_js_decode_image2(handle: object, colours: unknown, chroma: unknown): HeifOutcome | DecodedHeif;
  heif_image_handle_release(handle: object): void;
  heif_image_release(image: object): void;
  readonly heif_colorspace: { readonly heif_colorspace_RGB: unknown };
  readonly heif_chroma: { readonly heif_chroma_interleaved_RGB: unknown };
}

export interface HeifLibrary {
  readonly functions: HeifFunctions;
  /** True if HEVC's loop filters run. Without them, strong compression shows block edges of up to 38 levels. */
  readonly filtered: boolean;
}

/** The two parts of the package: the factory function and its WebAssembly. */
export interface HeifPackage {
  readonly create: (options: { wasmBinary: Uint8Array }) => HeifFunctions;
  readonly wasm: Uint8Array;
}

const require = createRequire(import.meta.url);

/** @throws Error if libheif-js is not installed */
export const findHeifPackage = (): HeifPackage => ({
  create: require('libheif-js/libheif-wasm/libheif.js') as HeifPackage['create'],
  wasm: readFileSync(require.resolve('libheif-js/libheif-wasm/libheif.wasm')),
});

/**
 * WebAssembly of `set_parameter_bool(context, 7, true)` and of parameter 8: no deblocking, no sample offsets. Between
 * the two constants are the number of the called function and a `local.get` (2 bytes).
 */
const NO_DEBLOCKING = Buffer.from([0x41, 7, 0x41, 1, 0x10]);
const NO_OFFSETS = Buffer.from([0x41, 8, 0x41, 1, 0x10]);
const SITES = 2;

/**
 * Enables both loop filters of HEVC. The JavaScript build of libheif disables them for speed, and its pictures then
 * differ from those of all other decoders. This sets the two constants to false in memory.
 */
export function withLoopFilters(wasm: Uint8Array): { readonly wasm: Uint8Array; readonly filtered: boolean } {
  const changed = Buffer.from(wasm);
  let sites = 0;
  for (let at = changed.indexOf(NO_DEBLOCKING); at >= 0; at = changed.indexOf(NO_DEBLOCKING, at + 1)) {
    let end = at + NO_DEBLOCKING.length;
    while ((changed[end] ?? 0) >= 0x80) end++;
    const callee = changed.subarray(at + NO_DEBLOCKING.length, end + 1);
    const second = end + 3;
    const expected = Buffer.concat([NO_OFFSETS, callee]);
    if (changed[end + 1] !== 0x20 || !changed.subarray(second, second + expected.length).equals(expected)) continue;
    changed[at + 3] = 0;
    changed[second + 3] = 0;
    sites++;
  }
  return sites === SITES ? { wasm: changed, filtered: true } : { wasm, filtered: false };
}

/** @throws QalignError MEDIA_UNSUPPORTED with the command that installs the package */
export function loadHeifLibrary(find: () => HeifPackage): HeifLibrary {
  let found: HeifPackage;
  try {
    found = find();
  } catch (cause) {
    throw new QalignError(
      'MEDIA_UNSUPPORTED',
      'HEIC and HEIF pictures need the package libheif-js; run "npm install libheif-js" in the folder where qalign is installed.',
      { cause },
    );
  }
  const { wasm, filtered } = withLoopFilters(found.wasm);
  return { functions: found.create({ wasmBinary: wasm }), filtered };
}
