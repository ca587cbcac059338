import { existsSync } from 'node:fs';
import { QalignError } from '../../../base/errors.js';
import { formatGigabytes } from '../../../base/units.js';

/** What ffmpeg and ffprobe may take; both undefined on the command line. */
export interface ToolLimits {
  /** Address space of the process in bytes. */
  readonly maxMemory?: number | undefined;
  /** Of any picture of the clip: the programs refuse a larger one before they take memory for it. */
  readonly maxFramePixels?: number | undefined;
}

const SHELL = '/bin/sh';

/** Each thread of a decoder holds pictures of its own. */
const MOST_THREADS = 4;

/** Whether the system limits the memory of a process that is started; macOS and Windows do not. */
export const canLimitMemory = (): boolean => process.platform === 'linux' && existsSync(SHELL);

/** The command that runs `program` within the limit: a shell sets it and becomes the program. */
export function limitedCommand(
  program: string,
  args: readonly string[],
  { maxMemory }: ToolLimits,
): readonly [program: string, args: readonly string[]] {
  if (maxMemory === undefined || !canLimitMemory()) return [program, args];
  const set = `ulimit -v ${Math.ceil(maxMemory / 1024)} 2>/dev/null || :`; // it fails where a lower limit is set already
  return [SHELL, ['-c', `${set}; exec "$0" "$@"`, program, ...args]];
}

/** A decoder's coded pictures are a little larger than what is shown of them. */
const CODED_PART = 1.25;

/** Options of an input. */
export const inputLimits = ({ maxFramePixels }: ToolLimits): string[] =>
  maxFramePixels === undefined ? [] : ['-max_pixels', String(Math.ceil(maxFramePixels * CODED_PART))];

/** Options of a decoder. */
export const decoderLimits = ({ maxMemory }: ToolLimits): string[] =>
  maxMemory === undefined ? [] : ['-threads', String(MOST_THREADS)];

const TOO_MANY_PIXELS = /exceeds specified max pixel count/;
const NO_MEMORY = /cannot allocate memory|out of memory|bad_alloc|failed to allocate|error allocating|malloc of size/i;

/** What a program's messages say of the limits. @throws QalignError MEDIA_TOO_LARGE */
export function requireWithinLimits(messages: string, { maxMemory, maxFramePixels }: ToolLimits): void {
  if (maxFramePixels !== undefined && TOO_MANY_PIXELS.test(messages))
    throw new QalignError(
      'MEDIA_TOO_LARGE',
      `A frame of the clip has more pixels than the limit of ${maxFramePixels}; make it smaller, or raise the limit (limits.frame_pixels of a service).`,
    );
  if (maxMemory !== undefined && NO_MEMORY.test(messages))
    throw new QalignError(
      'MEDIA_TOO_LARGE',
      `ffmpeg needs more memory for the clip than the ${formatGigabytes(maxMemory)} that it may take; make the clip smaller, or raise the limit (limits.ffmpeg_mb of a service).`,
    );
}
