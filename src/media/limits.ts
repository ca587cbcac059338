import type { Reach } from '../base/files/reach.js';

/** What decoding one file may cost at most. Going over any of these ends in a typed error, never in a crash. */
export interface MediaLimits {
  /** Size of the file in bytes. */
  readonly maxBytes: number;
  /** Width × height of a picture, or of one frame of a clip. */
  readonly maxPixels: number;
  /** Width × height of one frame of a clip, beside `maxPixels`; without it 8192 × 8192. */
  readonly maxFramePixels?: number | undefined;
  /**
   * Memory of ffmpeg in bytes of address space, where the system limits it (Linux). Its decoders then use few threads.
   * Without it there is no limit.
   */
  readonly maxToolMemory?: number | undefined;
  /** Frames taken from one clip. */
  readonly maxFrames: number;
  /**
   * In milliseconds: of wall-clock time for one picture, and of silence for one clip. ffmpeg is silent while it decodes
   * no picture; the length of a clip and the time that its reader takes do not count.
   */
  readonly timeoutMs: number;
  /**
   * Where files must lie, frames of a folder too; anywhere by default. The opened file itself is checked, whatever its
   * name leads to by then.
   */
  readonly within?: Reach | undefined;
}

/**
 * `maxPixels` is the number over which Pillow, and so the reference, refuses a picture (2 × 89 478 485). `maxBytes`
 * is what such a picture takes uncompressed with 16 bits a channel, rounded.
 */
export const DEFAULT_LIMITS: MediaLimits = {
  maxBytes: 1024 ** 3,
  maxPixels: 178_956_970,
  maxFrames: 36_000,
  timeoutMs: 120_000,
};

/** The defaults with `partial` laid over them; absent and undefined entries keep the default. */
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
