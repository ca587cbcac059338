import { QalignError } from '../base/errors.js';
import { grantOf } from './budget/needs-memory.js';
import { decodeImage } from './decode/decode.js';
import { readInput } from './image-file.js';
import { withDefaults, type MediaLimits } from './limits.js';
import type { MediaInput } from './media-input.js';
import { padAndResize, type RawPicture } from './resample/resample.js';

/** uint8 RGB, row by row from the top; width = height = the size asked for. */
export interface PreparedImage {
  readonly width: number;
  readonly height: number;
  readonly data: Uint8Array;
  /** Of the decoded picture, before padding and resizing, in pixels. */
  readonly original: { readonly width: number; readonly height: number };
  /** What is doubtful about the pixels, in sentences. */
  readonly warnings: readonly string[];
  /** The decoder, where it is not one whose pixels equal Pillow's. */
  readonly decoder?: string;
}

/** How a picture becomes pixels: side of the square, orientation, limits. */
export interface PrepareImageOptions {
  /** Side of the square in pixels, 1 … 4096: the model's `image_size`. */
  readonly size: number;
  /** Turn the picture as its EXIF orientation says. The reference does not, so it is off by default. */
  readonly autoOrient?: boolean;
  readonly limits?: Partial<MediaLimits>;
  readonly signal?: AbortSignal;
  /** Bytes of memory that reading and decoding may take; without it no account is kept. */
  readonly granted?: number;
}

function checkTarget(size: number): void {
  if (!Number.isInteger(size) || size < 1 || size > 4096) {
    throw new QalignError(
      'CONFIG_INVALID',
      `A picture cannot be prepared at ${size} pixels; give a whole number from 1 to 4096.`,
    );
  }
}

/** Settles as `work` does, or earlier when the time is up or the caller cancels: `work` is then ignored. */
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
        signal?.reason instanceof Error ? signal.reason : new QalignError('CANCELLED', 'The picture was cancelled.'),
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
 * Reads a picture as the reference does with Pillow: first frame, RGB, alpha dropped, EXIF and ICC ignored, padded to a
 * square, resized with Pillow's bicubic (docs/mplug-owl2.md#image-preprocessing). Bit-exact but for lossy AVIF. The
 * `decoder` of HEIC is named, since Pillow reads it through a plug-in only.
 *
 * @throws QalignError MEDIA_NOT_FOUND, MEDIA_UNREADABLE, MEDIA_UNSUPPORTED, MEDIA_CORRUPT, MEDIA_TOO_LARGE,
 * MEDIA_TIMEOUT; NeedsMemory for what takes more than `granted`
 */
export async function prepareImage(input: MediaInput, options: PrepareImageOptions): Promise<PreparedImage> {
  checkTarget(options.size);
  options.signal?.throwIfAborted();
  const limits = withDefaults(options.limits);
  const work = async (): Promise<PreparedImage> => {
    const { granted = Infinity } = options;
    const bytes = await readInput(input, limits, options.signal, grantOf(granted));
    const afford = granted === Infinity ? undefined : grantOf(granted, bytes.length);
    const picture = await decodeImage(bytes, { ...limits, afford }, options.autoOrient ?? false);
    afford?.(picture.data.length + picture.height * options.size * 3); // the rows between the passes of resizing
    options.signal?.throwIfAborted();
    return prepareFrame(picture, { size: options.size });
  };
  return within(work(), limits.timeoutMs, options.signal);
}

/** With fewer rows or columns than this at the model's size (less below 64 px) there is hardly anything to judge. */
const FEWEST_PIXELS = 4;

/** A warning where the picture fills only a strip of the padded square; the rest is padding. */
export function thinness({ width, height }: Omit<RawPicture, 'data'>, size: number): string[] {
  const [long, short] = [Math.max(width, height), Math.min(width, height)];
  const left = (short * size) / long;
  // a picture that small of itself is shown whole
  if (left >= Math.min(FEWEST_PIXELS, size / 16) || left >= short) return [];
  const of = width > height ? 'rows' : 'columns';
  return [
    `the picture is ${width}x${height}: at the model's ${size} pixels it fills ${left.toFixed(left < 1 ? 2 : 1)} of ` +
      `${size} ${of}, the rest is padding; score parts of it instead`,
  ];
}

/** Pads and resizes raw RGB, such as a frame of a clip, as {@link prepareImage} does. */
export function prepareFrame(frame: RawPicture, options: { readonly size: number }): PreparedImage {
  checkTarget(options.size);
  const { width, height, warnings = [], decoder } = frame;
  return {
    width: options.size,
    height: options.size,
    data: padAndResize(frame, options.size),
    original: { width, height },
    warnings: [...warnings, ...thinness(frame, options.size)],
    ...(decoder === undefined ? {} : { decoder }),
  };
}
