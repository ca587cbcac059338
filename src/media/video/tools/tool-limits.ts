import { existsSync } from 'node:fs';
import { QalignError } from '../../../base/errors.js';
import { formatGigabytes } from '../../../base/units.js';

/** Limits of ffmpeg and ffprobe. Both are undefined on the command line. */
export interface ToolLimits {
  /** Maximum address space of the process in bytes. */
  readonly maxMemory?: number | undefined;
  /** Maximum number of pixels of any picture of the clip. The programs refuse larger pictures before allocation. */
  readonly maxFramePixels?: number | undefined;
}

const SHELL = '/bin/sh';

/** Each thread of a decoder has its own pictures. */
const MOST_THREADS = 4;

/** Returns true if the system can limit the memory of a child process. macOS and Windows cannot. */
export const canLimitMemory = (): boolean => process.platform === 'linux' && existsSync(SHELL);

/** Returns the command that runs `program` with the memory limit: a shell sets the limit and executes the program. */
export function limitedCommand(
  program: string,
  args: readonly string[],
  { maxMemory }: ToolLimits,
): readonly [program: string, args: readonly string[]] {
  if (maxMemory === undefined || !canLimitMemory()) return [program, args];
  const set = `ulimit -v ${Math.ceil(maxMemory / 1024)} 2>/dev/null || :`; // fails if a lower limit is already set
  return [SHELL, ['-c', `${set}; exec "$0" "$@"`, program, ...args]];
}

/** The coded pictures of a decoder are slightly larger than the shown pictures. */
const CODED_PART = 1.25;

/** Input options. */
export const inputLimits = ({ maxFramePixels }: ToolLimits): string[] =>
  maxFramePixels === undefined ? [] : ['-max_pixels', String(Math.ceil(maxFramePixels * CODED_PART))];

/** Decoder options. */
export const decoderLimits = ({ maxMemory }: ToolLimits): string[] =>
  maxMemory === undefined ? [] : ['-threads', String(MOST_THREADS)];

const TOO_MANY_PIXELS = /exceeds specified max pixel count/;
const NO_MEMORY = /cannot allocate memory|out of memory|bad_alloc|failed to allocate|error allocating|malloc of size/i;

/** Checks the messages of a program for exceeded limits. @throws QalignError MEDIA_TOO_LARGE */
export function requireWithinLimits(messages: string, { maxMemory, maxFramePixels }: ToolLimits): void {
  if (maxFramePixels !== undefined && TOO_MANY_PIXELS.test(messages))
    throw new QalignError(
      'MEDIA_TOO_LARGE',
      `A frame of the clip has more pixels than the limit of ${maxFramePixels}; make it smaller, or raise the limit (limits.frame_pixels of a service).`,
    );
  if (maxMemory !== undefined && NO_MEMORY.test(messages))
    throw new QalignError(
      'MEDIA_TOO_LARGE',
      `ffmpeg needs more memory for the clip than the limit of ${formatGigabytes(maxMemory)}; make the clip smaller, or raise the limit (limits.ffmpeg_mb of a service).`,
    );
}
