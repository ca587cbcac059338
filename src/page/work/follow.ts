import { signal, type Signal } from '@preact/signals';
import { ServiceError, type SentEvent } from '../../client/client.js';

const WAIT_MS = 1000;
const MOST_WAIT_MS = 15_000;

export interface Followed {
  /** True while the connection is lost; it is opened again. */
  readonly isLost: Signal<boolean>;
  readonly stop: () => void;
}

/**
 * Follows server-sent events over fetch, which sends the key. After a lost connection it continues behind the last
 * event, until the event `end`.
 *
 * @param after id of the last event that is already known
 */
export function follow<E extends { readonly event: string }>(
  open: (options: { lastEventId?: number; signal: AbortSignal }) => AsyncIterable<SentEvent<E>>,
  onEvent: (event: E) => void,
  onProblem: (error: unknown) => void,
  after?: number,
): Followed {
  const isLost = signal(false);
  const ended = new AbortController();
  const run = async (): Promise<void> => {
    let last = after;
    for (let failures = 0; !ended.signal.aborted; failures += 1) {
      try {
        const options = { signal: ended.signal, ...(last === undefined ? {} : { lastEventId: last }) };
        for await (const { id, data } of open(options)) {
          [last, failures, isLost.value] = [id, 0, false];
          onEvent(data);
          if (data.event === 'end') return;
        }
      } catch (error) {
        if (ended.signal.aborted) return;
        if (error instanceof ServiceError && error.status < 500 && error.status !== 429) return onProblem(error);
      }
      isLost.value = true;
      await new Promise((done) => setTimeout(done, Math.min(MOST_WAIT_MS, WAIT_MS * 2 ** failures)));
    }
  };
  void run();
  return { isLost, stop: () => ended.abort() };
}
