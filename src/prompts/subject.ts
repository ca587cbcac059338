/**
 * What a prompt is about, and the marker that stands in it for one image or one whole video. Exact strings: a changed
 * space changes the score. This folder makes text; Python tokenises it.
 */
export const IMAGE_MARKER = '<|image|>';

export const TASKS = ['quality', 'aesthetics'] as const;
export type Task = (typeof TASKS)[number];

export const KINDS = ['image', 'video'] as const;
export type Kind = (typeof KINDS)[number];

/**
 * How the frames of a clip were chosen: `published` is int(fps · i) as in the reference, `time` goes by time stamps
 * where the clip's rate varies, `counted` is `published` for clips whose packets lack time stamps.
 */
export const FRAME_RULES = ['published', 'time', 'counted'] as const;
export type FrameRule = (typeof FRAME_RULES)[number];

export function countMarkers(text: string): number {
  return text.split(IMAGE_MARKER).length - 1;
}
