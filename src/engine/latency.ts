/** How much each new observation weighs: half of the memory is gone after about 14 of them. */
const FORGET = 0.95;

/**
 * How long a worker takes for a batch: `base + perFrame · frames`, in ms, fitted to what was seen by least squares with
 * exponential forgetting, so that it follows a machine that gets slower or faster. Before anything was seen it knows
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

  /** Undefined until the first observation. Both parts are never negative. */
  get line(): { baseMs: number; perFrameMs: number } | undefined {
    if (this.#n === 0) return undefined;
    const [x, y] = [this.#x / this.#n, this.#y / this.#n];
    const variance = this.#xx / this.#n - x * x;
    // batches of one size only: all of it is laid on the frames
    const slope = variance > 1e-6 * x * x ? (this.#xy / this.#n - x * y) / variance : y / x;
    const perFrameMs = Math.min(y / x, Math.max(0, slope));
    return { baseMs: y - perFrameMs * x, perFrameMs };
  }

  /** Of a batch of so many frames, in ms. */
  predict(frames: number): number | undefined {
    return this.line === undefined ? undefined : this.line.baseMs + this.line.perFrameMs * frames;
  }
}
