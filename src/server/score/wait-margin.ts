/** The least factor by which a machine can slow down without making admitted requests late. */
const LEAST = 3;
/** A larger factor would refuse requests that can be answered. */
const MOST = 8;
/** Time in which half of an increase decays. */
const HALF_LIFE_MS = 15_000;
/** Errors up to this fraction of the deadline are ignored, because they do not make a request late. */
const JITTER = 0.1;
/** Factor on the time of a late request: it was abandoned at its deadline and would have taken longer. */
const LATE = 1.5;

/**
 * Learns how much longer than predicted the wait of a request can be. It rises at once to the worst error and decays
 * slowly.
 */
export class WaitMargin {
  #peak = LEAST;
  #peakAt = 0;

  /** Longest predicted wait that is safe for a request with `withinMs`. */
  allowedMs(withinMs: number, at: number): number {
    return (withinMs * (1 - JITTER)) / this.#value(at);
  }

  /** Records that a request took `tookMs`, or has waited that long. */
  observe({ predictedMs, withinMs }: { predictedMs: number; withinMs: number }, tookMs: number, at: number): void {
    const late = tookMs >= withinMs ? LATE : 1;
    const error = Math.min(MOST, (late * (tookMs - withinMs * JITTER)) / Math.max(1, predictedMs));
    if (error <= this.#value(at)) return;
    this.#peak = error;
    this.#peakAt = at;
  }

  #value(at: number): number {
    return LEAST + (this.#peak - LEAST) * 0.5 ** ((at - this.#peakAt) / HALF_LIFE_MS);
  }
}
