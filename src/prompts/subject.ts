/**
 * What a prompt is about, and the marker that stands in it for one image or one whole video. Exact strings: a changed
 * space changes the score. This folder makes text; Python tokenises it.
 */
export const IMAGE_MARKER = '<|image|>';

export const TASKS = ['quality', 'aesthetics'] as const;
export type Task = (typeof TASKS)[number];

export const KINDS = ['image', 'video'] as const;
export type Kind = (typeof KINDS)[number];

export function countMarkers(text: string): number {
  return text.split(IMAGE_MARKER).length - 1;
}
