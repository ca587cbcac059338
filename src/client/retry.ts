import type { ErrorAnswer } from '../api/error.js';
import type { ServiceError } from './service-error.js';

/** For a longer Retry-After, the request fails immediately, and the caller decides. */
const LONGEST_WAIT_S = 120;
const FIRST_WAIT_S = 0.5;
/** Share of the wait that is random, so that clients do not retry at the same time. */
const JITTER = 0.25;

/**
 * Seconds to wait before a retry. Undefined if a retry does not help: the status is not 429 or 503, the error is not
 * retryable, or Retry-After is over two minutes.
 */
export function waitBefore(error: ServiceError, random: () => number = Math.random): number | undefined {
  if (error.status !== 429 && error.status !== 503) return undefined;
  if ((error.answer as Partial<ErrorAnswer> | null)?.error?.retryable === false) return undefined;
  const wait = error.retryAfterS ?? FIRST_WAIT_S * 2 ** (error.attempts - 1);
  return wait > LONGEST_WAIT_S ? undefined : wait * (1 + JITTER * random());
}

/** @throws the reason of the signal when it aborts */
export function pause(seconds: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => end(resolve), seconds * 1000);
    const onAbort = (): void => end(() => reject(signal?.reason as Error));
    const end = (settle: () => void): void => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
      settle();
    };
    if (signal?.aborted === true) onAbort();
    else signal?.addEventListener('abort', onAbort);
  });
}
