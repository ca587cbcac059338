/** The boundary of src/server/webhooks: signed messages to services, sent until they arrive; independent of jobs. */
import { deadline } from '../../base/first-signal.js';
import type { Logger } from '../../base/logger.js';
import type { Destinations } from './destination.js';
import { post } from './post.js';
import type { Sign } from './signature.js';
import type { Delivery, DeliveryStore } from './store.js';

/** Seconds before the second attempt, the third and so on: about 28 hours in total. */
export const BACK_OFF_S = [5, 60, 300, 1800, 7200, 18_000, 36_000, 36_000] as const;
const TIMEOUT_MS = 10_000;
const MOST_AT_ONCE = 8;
const LONGEST_TIMER_MS = 60_000;
/** The receiver wants no further message at this URL. */
const GONE = 410;

export type DeliveryOutcome = 'delivered' | 'retried' | 'failed';

export interface WebhookSender {
  /** Sends due messages now and later. Called at the start and for each new message. */
  readonly wake: () => void;
  /** Aborts requests in progress; the next start repeats them. */
  readonly close: () => Promise<void>;
}

export interface WebhookSenderParts {
  readonly store: DeliveryStore;
  readonly destinations: Destinations;
  readonly sign: Sign;
  readonly log: Logger;
  readonly count: (outcome: DeliveryOutcome) => void;
  /** Tests use a shorter time. */
  readonly backOffS?: readonly number[];
}

/** Sends each message until the receiver returns 2xx: at least once, and more than once if an answer was lost. */
export function createWebhookSender(parts: WebhookSenderParts): WebhookSender {
  const { store, log } = parts;
  const ending = new AbortController();
  const underWay = new Map<string, Promise<void>>();
  let timer: NodeJS.Timeout | undefined;

  const wake = (): void => {
    if (ending.signal.aborted) return;
    clearTimeout(timer);
    const now = Date.now() / 1000;
    const waiting = store.waiting().filter(({ id }) => !underWay.has(id));
    for (const delivery of waiting.filter(({ next_at }) => isDue(next_at, now))) {
      if (underWay.size >= MOST_AT_ONCE) return; // Its end wakes the loop again.
      const sent = deliver(delivery, parts, ending.signal)
        .catch((error: Error) => log.warn('the state of a webhook could not be saved', { reason: error.message }))
        .finally(() => {
          underWay.delete(delivery.id);
          wake();
        });
      underWay.set(delivery.id, sent);
    }
    const next = waiting.find(({ next_at }) => !isDue(next_at, now));
    if (next === undefined) return;
    timer = setTimeout(wake, Math.min((next.next_at - now) * 1000, LONGEST_TIMER_MS)).unref();
  };

  return {
    wake,
    async close() {
      ending.abort();
      clearTimeout(timer);
      await Promise.all(underWay.values());
    },
  };
}

/** A time beyond every back-off was set before the clock was set back. */
const isDue = (at: number, now: number): boolean => at <= now || at > now + 2 * Math.max(...BACK_OFF_S);

async function deliver(
  delivery: Delivery,
  { store, log, count, backOffS = BACK_OFF_S, ...parts }: WebhookSenderParts,
  ending: AbortSignal,
): Promise<void> {
  const { id, attempts } = delivery;
  const { status, reason } = await attempt(delivery, parts, ending);
  if (ending.aborted && status === undefined) return;
  const now = Date.now() / 1000;
  const pause = backOffS[attempts];
  const delivered = status !== undefined && status >= 200 && status < 300;
  const outcome = delivered ? 'delivered' : status === GONE || pause === undefined ? 'failed' : 'retried';
  if (outcome === 'retried') store.retry(id, now + (pause as number) * (1 + Math.random() / 5));
  else store.end(id, now);
  count(outcome);
  const fields = { webhook: id, host: new URL(delivery.url).host, attempt: attempts + 1, outcome, status, reason };
  if (outcome === 'delivered') log.info('webhook', fields);
  else log.warn('webhook', fields);
}

interface Attempt {
  /** Status of the answer, if there was one. */
  readonly status?: number | undefined;
  readonly reason?: string;
}

async function attempt(
  { id, url, body }: Delivery,
  { destinations, sign }: Pick<WebhookSenderParts, 'destinations' | 'sign'>,
  ending: AbortSignal,
): Promise<Attempt> {
  const timestamp = Math.floor(Date.now() / 1000);
  const headers = {
    'user-agent': 'qalign',
    'webhook-id': id,
    'webhook-timestamp': String(timestamp),
    'webhook-signature': sign(id, timestamp, body),
  };
  const { signal, release } = deadline(TIMEOUT_MS, () => new Error(`no answer within ${TIMEOUT_MS / 1000} s`), ending);
  const { isAllowedAddress } = destinations;
  try {
    // Checked again: the configuration can have changed since the job was accepted.
    return { status: await post(destinations.check(url), headers, body, { isAllowedAddress, signal }) };
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    return { reason: signal.aborted ? (signal.reason as Error).message : (code ?? message) };
  } finally {
    release();
  }
}
