import type { ScoreFields } from '../../api/score.js';
import type { Task } from '../../prompts/subject.js';
import { ServiceError } from '../../client/client.js';
import { waitBefore } from '../../client/retry.js';

/** An input of the queue, and the rows that its outcomes belong to, one for each task. */
export interface Entry {
  readonly file: File | undefined;
  readonly source: { readonly path?: string; readonly url?: string } | undefined;
  readonly settings: ScoreFields & { readonly tasks: Task[] };
  readonly rowIds: readonly number[];
}

const MOST_BYTES = 64 * 2 ** 20;
/** 413: the files together are too large, so they are sent in smaller groups. */
const TOO_LARGE = 413;

/** The next entries of one request: the same settings, either all files or all addresses, and a bounded size. */
export function takeGroup(waiting: readonly Entry[], most: number): Entry[] {
  const [first] = waiting;
  if (first === undefined) return [];
  let bytes = 0;
  const group: Entry[] = [];
  for (const entry of waiting) {
    bytes += entry.file?.size ?? 0;
    const isSame =
      (entry.file === undefined) === (first.file === undefined) &&
      JSON.stringify(entry.settings) === JSON.stringify(first.settings);
    if (group.length > 0 && (group.length >= most || bytes > MOST_BYTES || !isSame)) break;
    group.push(entry);
  }
  return group;
}

/** What to do with a group whose request failed. `wait` is in seconds. */
export type Reaction =
  | { readonly kind: 'wait'; readonly wait: number }
  | { readonly kind: 'split' | 'refused' }
  | { readonly kind: 'fail'; readonly code: string; readonly message: string };

/** @param failures number of requests that failed one after the other, with this one */
export function reactionTo(error: unknown, items: number, failures: number): Reaction {
  if (!(error instanceof ServiceError))
    return { kind: 'fail', code: 'UNREACHABLE', message: 'The connection to the service broke; try again.' };
  const { status, code, message, retryAfterS, answer } = error;
  if (status === 401 || status === 403) return { kind: 'refused' };
  // Without Retry-After, the wait doubles with every failure.
  const wait = waitBefore(new ServiceError(status, code, message, retryAfterS, answer, Math.min(failures, 7)));
  if (wait !== undefined) return { kind: 'wait', wait };
  if (status === TOO_LARGE && items > 1) return { kind: 'split' };
  return { kind: 'fail', code, message };
}
