import { deadline } from '../../base/first-signal.js';
import type { Logger } from '../../base/logger.js';
import { toOtlp, type Span } from './span.js';

const EVERY_MS = 2_000;
const TIMEOUT_MS = 10_000;
const BATCH = 512;
/** Spans that wait while the collector is unreachable; the oldest are dropped first. */
const MOST_WAITING = 4096;
/** Statuses that OTLP/HTTP calls retryable. */
const RETRYABLE = [429, 502, 503, 504];
const WARN_EVERY_MS = 60_000;

/** Sends spans in batches. An unreachable collector loses spans, never a request. */
export interface SpanExporter {
  readonly add: (span: Span) => void;
  /** Sends the waiting spans once. */
  readonly close: () => Promise<void>;
}

export function createSpanExporter(
  endpoint: string,
  headers: Readonly<Record<string, string>>,
  log: Logger,
): SpanExporter {
  const waiting: Span[] = [];
  let sending: Promise<void> | undefined;
  let dropped = 0;
  let warnedAt = -Infinity;

  const drop = (count: number, reason: string): void => {
    dropped += count;
    if (performance.now() - warnedAt < WARN_EVERY_MS) return;
    log.warn('spans were not exported', { dropped, reason });
    [dropped, warnedAt] = [0, performance.now()];
  };
  const putBack = (spans: readonly Span[], reason: string): void => {
    waiting.unshift(...spans);
    if (waiting.length > MOST_WAITING) drop(waiting.splice(0, waiting.length - MOST_WAITING).length, reason);
  };

  async function sendBatch(): Promise<void> {
    const spans = waiting.splice(0, BATCH);
    if (spans.length === 0) return;
    const { signal, release } = deadline(TIMEOUT_MS, () => new Error(`no answer within ${TIMEOUT_MS / 1000} s`));
    try {
      const { status, body } = await fetch(endpoint, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...headers },
        body: JSON.stringify(toOtlp(spans)),
        redirect: 'manual',
        signal,
      });
      await body?.cancel(); // Frees the connection.
      if (RETRYABLE.includes(status)) putBack(spans, `status ${status}`);
      else if (status < 200 || status >= 300) drop(spans.length, `status ${status}`);
    } catch (error) {
      putBack(spans, (error as Error).message);
    } finally {
      release();
    }
  }
  const flush = (): Promise<void> => (sending ??= sendBatch().finally(() => (sending = undefined)));
  const timer = setInterval(() => void flush(), EVERY_MS).unref();

  return {
    add(span) {
      waiting.push(span);
      if (waiting.length > MOST_WAITING) drop(waiting.splice(0, 1).length, 'spans arrive faster than they are sent');
      if (waiting.length >= BATCH) void flush();
    },
    async close() {
      clearInterval(timer);
      await sending;
      await flush();
    },
  };
}
