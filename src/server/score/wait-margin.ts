/** A machine may get so many times as slow as it was without making what was admitted late. */
const LEAST = 3;
/** More would refuse what can be answered. */
const MOST = 8;
/** Time in which half of what was added is taken back. */
const HALF_LIFE_MS = 15_000;
/** Share of the time of a request that an error may take without counting: it does not make it late. */
const JITTER = 0.1;
/** What came too late would have taken longer still. */
const LATE = 1.5;

/**
 * By how much the wait of a request may turn out longer than predicted. It grows at once to the worst error and shrinks
 * slowly.
 */
export class WaitMargin {
  #peak = LEAST;
  #peakAt = 0;

  /** Of a request with `withinMs`, the longest predicted wait that is safe. */
  allowedMs(withinMs: number, at: number): number {
    return (withinMs * (1 - JITTER)) / this.#value(at);
  }

  /** A request took `tookMs`, or waits for so long already. */
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
