import { signal } from '@preact/signals';
import { ServiceError, type QalignClient } from '../../client/client.js';
import { waitBefore } from '../../client/retry.js';
import type { ScoreOutcome } from '../../api/result.js';
import type { ScoreFields, ScoredInput } from '../../api/score.js';
import type { Task } from '../../prompts/subject.js';
import { createBatchSize, type BatchSize } from './batch-size.js';

/** An input of the queue, and the rows that its outcomes belong to, one for each task. */
export interface Entry {
  readonly file: File | undefined;
  readonly source: { readonly path?: string; readonly url?: string } | undefined;
  readonly settings: ScoreFields & { readonly tasks: Task[] };
  readonly rowIds: readonly number[];
}

export interface QueueParts {
  readonly client: () => Pick<QalignClient, 'scoreStream'>;
  readonly onSent: (entry: Entry) => void;
  readonly onOutcome: (entry: Entry, outcomes: readonly ScoreOutcome[]) => void;
  readonly onFailure: (entry: Entry, code: string, message: string) => void;
  /** Called with the error of a refused key; the queue then stops until `resume`. */
  readonly onRefused: (error: unknown) => void;
  readonly concurrent?: number;
}

const MOST_BYTES = 64 * 2 ** 20;
/** 413: the files together are too large, so they are sent in smaller groups. */
const TOO_LARGE = 413;

export interface Queue {
  add(entries: readonly Entry[]): void;
  resume(): void;
  clear(): void;
}

/** Until when the service asked to wait, in ms since 1970; undefined: it did not. */
export const pausedUntil = signal<number | undefined>(undefined);
export const sending = signal(0);
/** Number of entries that wait in this tab. */
export const queued = signal(0);

/**
 * Sends entries in groups, two at a time. Groups grow while answers are quick, and shrink when the service is loaded.
 * After 429 or 503 the whole queue waits for Retry-After, and the group is sent again.
 */
export function createQueue(parts: QueueParts): Queue {
  const { concurrent = 2 } = parts;
  const size = createBatchSize();
  let waiting: Entry[] = [];
  let active = 0;
  let refused = false;
  let attempts = 0;
  let stop = new AbortController();

  const pump = (): void => {
    queued.value = waiting.length;
    sending.value = active;
    while (!refused && active < concurrent && waiting.length > 0 && pausedUntil.value === undefined) {
      const group = takeGroup(waiting, size.value);
      waiting = waiting.slice(group.length);
      active += 1;
      void send(group).finally(() => {
        active -= 1;
        pump();
      });
    }
    queued.value = waiting.length;
    sending.value = active;
  };

  const again = (group: readonly Entry[]): void => void (waiting = [...group, ...waiting]);

  const pause = (seconds: number): void => {
    pausedUntil.value = Date.now() + seconds * 1000;
    setTimeout(() => {
      pausedUntil.value = undefined;
      pump();
    }, seconds * 1000);
  };

  const send = async (group: readonly Entry[]): Promise<void> => {
    const { signal: stopped } = stop;
    const answered = new Set<number>();
    const started = performance.now();
    group.forEach(parts.onSent);
    try {
      const items = group.map(({ file, source }) => (file === undefined ? source! : { data: file, name: file.name }));
      const stream = parts.client().scoreStream(items as never, group[0]!.settings, { signal: stopped, retries: 0 });
      for await (const item of stream) receive(group, item, answered);
      attempts = 0;
      size.took((performance.now() - started) / 1000, group.length);
    } catch (error) {
      if (stopped.aborted) return;
      const rest = group.filter((_, index) => !answered.has(index));
      handle(rest, error, { again, pause, size });
    }
  };

  const receive = (group: readonly Entry[], { index, results }: ScoredInput, answered: Set<number>): void => {
    const entry = group[index];
    if (entry === undefined) return;
    answered.add(index);
    parts.onOutcome(entry, results);
  };

  const handle = (
    rest: readonly Entry[],
    error: unknown,
    tools: { again: typeof again; pause: typeof pause; size: BatchSize },
  ): void => {
    if (!(error instanceof ServiceError)) return failAll(rest, 'UNREACHABLE', 'The connection to the service broke.');
    if (error.status === 401 || error.status === 403) {
      refused = true;
      tools.again(rest);
      return parts.onRefused(error);
    }
    attempts += 1;
    const wait = waitBefore(
      new ServiceError(error.status, error.code, error.message, error.retryAfterS, error.answer, Math.min(attempts, 7)),
    );
    if (wait !== undefined) {
      tools.size.refused();
      tools.again(rest);
      return tools.pause(wait);
    }
    if (error.status === TOO_LARGE && rest.length > 1) {
      tools.size.refused();
      return tools.again(rest);
    }
    failAll(rest, error.code, error.message);
  };

  const failAll = (rest: readonly Entry[], code: string, message: string): void =>
    rest.forEach((entry) => parts.onFailure(entry, code, message));

  return {
    add(entries) {
      waiting = [...waiting, ...entries];
      pump();
    },
    resume() {
      refused = false;
      pump();
    },
    clear() {
      stop.abort();
      stop = new AbortController();
      waiting = [];
      pump();
    },
  };
}

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
