import type { Reach } from '../base/files/reach.js';

/**
 * The largest cost of decoding one file. A file above a limit is refused with a typed error and never crashes the
 * process.
 */
export interface MediaLimits {
  /** Size of the file in bytes. */
  readonly maxBytes: number;
  /** Width × height of a picture, or of one frame of a clip. */
  readonly maxPixels: number;
  /** Width × height of one frame of a clip, in addition to `maxPixels`. Default: 8192 × 8192. */
  readonly maxFramePixels?: number | undefined;
  /**
   * Address space of ffmpeg in bytes, on systems that can limit it (Linux). With this limit, its decoders use few
   * threads. Default: no limit.
   */
  readonly maxToolMemory?: number | undefined;
  /** Number of frames taken from one clip. */
  readonly maxFrames: number;
  /**
   * Milliseconds. For a picture: wall-clock time. For a clip: the longest time in which ffmpeg decodes no picture. The
   * length of the clip and the time of its reader do not count.
   */
  readonly timeoutMs: number;
  /**
   * Allowed location of files, also of frames in a folder; anywhere by default. The opened file itself is checked,
   * not its name.
   */
  readonly within?: Reach | undefined;
}

/**
 * `maxPixels` is the number above which Pillow, and so the reference, refuses a picture (2 × 89 478 485). `maxBytes` is
 * the size of such a picture uncompressed with 16 bits a channel, rounded.
 */
export const DEFAULT_LIMITS: MediaLimits = {
  maxBytes: 1024 ** 3,
  maxPixels: 178_956_970,
  maxFrames: 36_000,
  timeoutMs: 120_000,
};

/** Fills absent and undefined entries of `partial` with the defaults. */
export function withDefaults(partial: Partial<MediaLimits> | undefined): MediaLimits {
  return {
    maxBytes: partial?.maxBytes ?? DEFAULT_LIMITS.maxBytes,
    maxPixels: partial?.maxPixels ?? DEFAULT_LIMITS.maxPixels,
    maxFramePixels: partial?.maxFramePixels,
    maxToolMemory: partial?.maxToolMemory,
    maxFrames: partial?.maxFrames ?? DEFAULT_LIMITS.maxFrames,
    timeoutMs: partial?.timeoutMs ?? DEFAULT_LIMITS.timeoutMs,
    ...(partial?.within === undefined ? {} : { within: partial.within }),
  };
}
