/**
 * The conversation format of mPLUG-Owl2 (v1 of its template): roles, separators, and the marker that stands for one
 * image or one whole video. Exact strings: a changed space changes the score.
 * This folder makes text; Python tokenises it.
 */
export const IMAGE_MARKER = '<|image|>';
export const USER = 'USER: ';
export const ASSISTANT = 'ASSISTANT:';
/** Ends an answer in training. */
export const END_OF_ANSWER = '</s>';

export const TASKS = ['quality', 'aesthetics'] as const;
export type Task = (typeof TASKS)[number];

export const KINDS = ['image', 'video'] as const;
export type Kind = (typeof KINDS)[number];

export function countMarkers(text: string): number {
  return text.split(IMAGE_MARKER).length - 1;
}

/**
 * The text a training conversation of one turn becomes: the marker is moved to the front, all further markers go, and
 * the answer is closed. Published rule (docs/mplug-owl2.md#training-conversation); the supervised part is `answer</s>`.
 */
export function trainingText(question: string, answer: string): string {
  const hasMedia = question.includes(IMAGE_MARKER);
  const bare = question.replaceAll(IMAGE_MARKER, '').trim();
  return `${USER}${hasMedia ? `${IMAGE_MARKER}\n` : ''}${bare} ${ASSISTANT} ${answer}${END_OF_ANSWER}`;
}
