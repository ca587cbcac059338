import type { Preparation } from '../../bridge/protocol/chat.js';
import type { View } from '../../bridge/protocol/views.js';
import { QalignError } from '../base/errors.js';
import { grantOf, type Afford } from './budget/needs-memory.js';
import { decodeImage } from './decode/decode.js';
import { readInput } from './image-file.js';
import { withDefaults, type MediaLimits } from './limits.js';
import type { MediaInput } from './media-input.js';
import { thinness } from './preprocessing.js';
import type { RawPicture } from './resample/resample.js';
import { drawForm, drawingBytes, frameSize, type FrameForm } from './views/views.js';

/** uint8 RGB, row by row from the top: the requested views, stacked from top to bottom. */
export interface PreparedImage {
  /** Width in pixels: the requested size, or that of `preparation`. */
  readonly width: number;
  /** Height in pixels: the requested size times the number of views, or that of `preparation`. */
  readonly height: number;
  /** uint8 RGB, length 3 · width · height. */
  readonly data: Uint8Array;
  /** Size in pixels of the decoded picture, before padding and resizing. */
  readonly original: { readonly width: number; readonly height: number };
  /** Warnings about the pixels, in sentences. */
  readonly warnings: readonly string[];
  /** Name of the decoder, if its pixels do not equal Pillow's. */
  readonly decoder?: string;
}

/** Options of preparing a picture: side and views, orientation, limits. */
export interface PrepareImageOptions {
  /** Side of a view in pixels, 1 … 4096: the model's `image_size`. */
  readonly size: number;
  /**
   * What the model sees of the picture: its `views`.
   * @default ['whole']
   */
  readonly views?: readonly View[];
  /**
   * For models that take pictures that are not square: the `preparation` of the model. `size` and `views` then have no
   * effect.
   * @default a square of `size`
   */
  readonly preparation?: Preparation;
  /** Rotate the picture by its EXIF orientation. Default: false, as in the reference. */
  readonly autoOrient?: boolean;
  /**
   * Limits of decoding.
   * @default DEFAULT_LIMITS
   */
  readonly limits?: Partial<MediaLimits>;
  /** Ends the call early. */
  readonly signal?: AbortSignal;
  /**
   * Bytes of memory that reading and decoding can take. Without it, memory is not counted.
   * @default no limit
   */
  readonly granted?: number;
}

function checkTarget({ size, preparation }: FrameForm): void {
  if (preparation !== undefined) return;
  if (!Number.isInteger(size) || size < 1 || size > 4096) {
    throw new QalignError(
      'CONFIG_INVALID',
      `A picture cannot be prepared at ${size} pixels; give a whole number from 1 to 4096.`,
    );
  }
}

/**
 * Resolves or rejects as `work` does, or rejects earlier on a timeout or an abort. The result of `work` is then
 * ignored.
 */
async function within<T>(work: Promise<T>, timeoutMs: number, signal: AbortSignal | undefined): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  let onAbort: (() => void) | undefined;
  const stopped = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => {
        reject(
          new QalignError('MEDIA_TIMEOUT', `Preparing the picture took longer than ${timeoutMs} ms; raise timeoutMs.`),
        );
      },
      Math.min(timeoutMs, 2 ** 31 - 1),
    );
    onAbort = () => {
      reject(
        signal?.reason instanceof Error
          ? signal.reason
          : new QalignError('CANCELLED', 'Preparing the picture was cancelled.'),
      );
    };
    signal?.addEventListener('abort', onAbort, { once: true });
  });
  try {
    return await Promise.race([work, stopped]);
  } finally {
    clearTimeout(timer);
    if (onAbort !== undefined) signal?.removeEventListener('abort', onAbort);
  }
}

/**
 * Reads a picture as the reference does with Pillow. It takes the first frame as RGB, drops alpha, and ignores EXIF and
 * ICC. It pads to a square and resizes with Pillow's bicubic (docs/mplug-owl2.md#image-preprocessing). The pixels equal
 * Pillow's bit for bit, except for lossy AVIF. For HEIC the result names the `decoder`, because Pillow reads HEIC only
 * with a plug-in. Models with several views get a square for each (docs/mplug-owl2.md#views).
 * Models with a `preparation` get the picture at its own aspect ratio.
 *
 * @throws QalignError MEDIA_NOT_FOUND, MEDIA_UNREADABLE, MEDIA_UNSUPPORTED, MEDIA_CORRUPT, MEDIA_TOO_LARGE,
 * MEDIA_TIMEOUT; NeedsMemory if memory above `granted` is needed
 * @example
 * ```ts
 * const { data, original } = await prepareImage('photo.jpg', { size: 448 });
 * console.log(data.length, original.width, original.height);
 * ```
 */
export async function prepareImage(input: MediaInput, options: PrepareImageOptions): Promise<PreparedImage> {
  return withPicture(input, options, (picture) => prepareFrame(picture, options));
}

/**
 * Decodes a picture as {@link prepareImage} does, and passes it to `use` within the same limits of time and memory.
 * `afford` is called before `use` allocates more than the rows between the two passes of resizing.
 *
 * @throws QalignError as prepareImage; NeedsMemory
 */
export async function withPicture<T>(
  input: MediaInput,
  options: PrepareImageOptions,
  use: (picture: RawPicture, afford: Afford | undefined) => T,
): Promise<T> {
  checkTarget(options);
  options.signal?.throwIfAborted();
  const limits = withDefaults(options.limits);
  const work = async (): Promise<T> => {
    const { granted = Infinity } = options;
    const bytes = await readInput(input, limits, options.signal, grantOf(granted));
    const afford = granted === Infinity ? undefined : grantOf(granted, bytes.length);
    const picture = await decodeImage(bytes, { ...limits, afford }, options.autoOrient ?? false);
    const decoded = picture.data.length + drawingBytes(picture, options); // with the rows between the two passes
    afford?.(decoded);
    options.signal?.throwIfAborted();
    return use(picture, afford && ((more) => afford(decoded + more)));
  };
  return within(work(), limits.timeoutMs, options.signal);
}

/**
 * Prepares raw RGB, such as a frame of a clip, in the same way as {@link prepareImage}.
 * @example
 * ```ts
 * const clip = await sampleVideo('clip.mp4');
 * for await (const frame of clip.frames) console.log(prepareFrame(frame, { size: 448 }).data.length); // 602112
 * ```
 */
export function prepareFrame(
  frame: RawPicture,
  form: Pick<PrepareImageOptions, 'size' | 'views' | 'preparation'>,
): PreparedImage {
  checkTarget(form);
  const { width, height, warnings = [], decoder } = frame;
  return {
    ...frameSize(frame, form),
    data: drawForm(frame, form),
    original: { width, height },
    warnings: [...warnings, ...(form.preparation === undefined ? thinness(frame, form.size) : [])],
    ...(decoder === undefined ? {} : { decoder }),
  };
}
