import { setTimeout as sleep } from 'node:timers/promises';

/** How often and how long a failed request is repeated. */
export interface RetryOptions {
  /**
   * Pauses in milliseconds before each repetition. A random part of up to half is taken off each, so that many workers
   * do not ask at the same time.
   * @default 0.5 s, then twice as long each time, seven times
   */
  readonly pauses?: readonly number[] | undefined;
}

const PAUSES = [500, 1000, 2000, 4000, 8000, 16_000, 30_000];

/**
 * Repeats `work` while it fails with an error that can pass.
 *
 * @param passes whether an error can pass
 * @throws the last error; the reason of `signal`
 */
export async function withRetries<T>(
  work: () => Promise<T>,
  passes: (error: unknown) => boolean,
  { pauses = PAUSES, signal }: RetryOptions & { readonly signal?: AbortSignal | undefined },
): Promise<T> {
  for (let failed = 0; ; failed++) {
    try {
      return await work();
    } catch (error) {
      signal?.throwIfAborted();
      const pause = pauses[failed];
      if (pause === undefined || !passes(error)) throw error;
      await sleep(pause * (1 - Math.random() / 2), undefined, signal === undefined ? {} : { signal });
    }
  }
}
