import { signal } from '@preact/signals';
import type { ClientItem, QalignClient } from '../../client/client.js';
import type { ScoreOutcome } from '../../api/result.js';
import { createBatchSize } from './batch-size.js';
import { reactionTo, takeGroup, type Entry } from './group.js';

export interface QueueParts {
  readonly client: () => Pick<QalignClient, 'scoreStream'>;
  readonly onSent: (entry: Entry) => void;
  readonly onOutcome: (entry: Entry, outcomes: readonly ScoreOutcome[]) => void;
  readonly onFailure: (entry: Entry, code: string, message: string) => void;
  /** Called with the error of a refused key; the queue then stops until `resume`. */
  readonly onRefused: (error: unknown) => void;
}

export interface Queue {
  add(entries: readonly Entry[]): void;
  resume(): void;
  clear(): void;
}

const CONCURRENT = 2;
/** Until when the service asked to wait, in ms since 1970; undefined: it did not. */
export const pausedUntil = signal<number | undefined>(undefined);

/**
 * Sends entries in groups, two at a time. Groups grow while answers are quick, and shrink when the service is loaded.
 * After 429 or 503 the whole queue waits for Retry-After, and the group is sent again.
 */
export function createQueue(parts: QueueParts): Queue {
  const size = createBatchSize();
  let waiting: Entry[] = [];
  let [active, failures, isRefused] = [0, 0, false];
  let stop = new AbortController();

  const pump = (): void => {
    while (!isRefused && active < CONCURRENT && waiting.length > 0 && pausedUntil.value === undefined) {
      const group = takeGroup(waiting, size.value);
      waiting = waiting.slice(group.length);
      active += 1;
      void send(group, stop.signal).finally(() => {
        active -= 1;
        pump();
      });
    }
  };

  const pause = (seconds: number): void => {
    pausedUntil.value = Date.now() + seconds * 1000;
    setTimeout(() => {
      pausedUntil.value = undefined;
      pump();
    }, seconds * 1000);
  };

  const send = async (group: readonly Entry[], stopped: AbortSignal): Promise<void> => {
    const answered = new Set<Entry>();
    const started = performance.now();
    group.forEach(parts.onSent);
    try {
      const settings = group[0]?.settings;
      const stream = parts.client().scoreStream(group.map(itemOf), settings, { signal: stopped, retries: 0 });
      for await (const { index, results } of stream) {
        const entry = group[index];
        if (entry === undefined || stopped.aborted) continue;
        answered.add(entry);
        parts.onOutcome(entry, results);
      }
      failures = 0;
      size.took((performance.now() - started) / 1000, group.length);
    } catch (error) {
      if (!stopped.aborted) react(group.filter((entry) => !answered.has(entry)), error); // prettier-ignore
    }
  };

  const react = (rest: readonly Entry[], error: unknown): void => {
    failures += 1;
    const reaction = reactionTo(error, rest.length, failures);
    if (reaction.kind === 'fail')
      return rest.forEach((entry) => parts.onFailure(entry, reaction.code, reaction.message));
    waiting = [...rest, ...waiting];
    size.refused();
    if (reaction.kind === 'wait') pause(reaction.wait);
    if (reaction.kind !== 'refused') return;
    isRefused = true;
    parts.onRefused(error);
  };

  return {
    add(entries) {
      waiting = [...waiting, ...entries];
      pump();
    },
    resume() {
      isRefused = false;
      pump();
    },
    clear() {
      stop.abort();
      stop = new AbortController();
      waiting = [];
    },
  };
}

const itemOf = ({ file, source }: Entry): ClientItem =>
  file === undefined ? (source as ClientItem) : { data: file, name: file.name };
