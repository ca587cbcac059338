/** Factor on the weight of older observations at each new one. A weight halves after about 14 observations. */
const FORGET = 0.95;

/**
 * Predicts the time of a batch in ms as `base + perFrame · frames`. It is fitted by least squares with exponential
 * forgetting, so that it follows a machine that gets slower or faster. Before the first observation it predicts
 * nothing.
 */
export class LatencyModel {
  #n = 0;
  #x = 0;
  #y = 0;
  #xx = 0;
  #xy = 0;

  observe(frames: number, ms: number): void {
    this.#n = this.#n * FORGET + 1;
    this.#x = this.#x * FORGET + frames;
    this.#y = this.#y * FORGET + ms;
    this.#xx = this.#xx * FORGET + frames * frames;
    this.#xy = this.#xy * FORGET + frames * ms;
  }

  /** The fitted line. Undefined before the first observation. Both parts are never negative. */
  get line(): { baseMs: number; perFrameMs: number } | undefined {
    if (this.#n === 0) return undefined;
    const [x, y] = [this.#x / this.#n, this.#y / this.#n];
    const variance = this.#xx / this.#n - x * x;
    // with batches of one size only, all time is attributed to the frames
    const slope = variance > 1e-6 * x * x ? (this.#xy / this.#n - x * y) / variance : y / x;
    const perFrameMs = Math.min(y / x, Math.max(0, slope));
    return { baseMs: y - perFrameMs * x, perFrameMs };
  }

  /** Predicts the time of a batch of `frames` frames in ms. Undefined before the first observation. */
  predict(frames: number): number | undefined {
    return this.line === undefined ? undefined : this.line.baseMs + this.line.perFrameMs * frames;
  }
}
