/**
 * The marker that represents one image or one whole video in a prompt. Prompts are exact strings: a changed space
 * changes the score. This folder makes the text; Python tokenises it.
 */
export const IMAGE_MARKER = '<|image|>';

export const TASKS = ['quality', 'aesthetics'] as const;
/** What to rate. */
export type Task = (typeof TASKS)[number];

export const KINDS = ['image', 'video'] as const;
export type Kind = (typeof KINDS)[number];

/**
 * How the frames of a clip were chosen. `published`: frame int(fps · i), as in the reference code. `time`: by
 * timestamps, because the frame rate of the clip varies. `counted`: as `published`, because packets lack timestamps.
 * `eight`: eight pictures, or `max_frames`, evenly spaced from the first to the last.
 */
export const FRAME_RULES = ['published', 'time', 'counted', 'eight'] as const;
export type FrameRule = (typeof FRAME_RULES)[number];

/** How the frames of clips are to be chosen. `auto` is `published` or `time`, as the frame rate of the clip demands. */
export const WANTED_FRAME_RULES = ['auto', 'published', 'eight'] as const;
export type WantedFrameRule = (typeof WANTED_FRAME_RULES)[number];

export function countMarkers(text: string): number {
  return text.split(IMAGE_MARKER).length - 1;
}
