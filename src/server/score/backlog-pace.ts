/** The short half-life detects a machine that becomes slower, the long one a machine that is slow at times. */
const HALF_LIVES_MS = [1_000, 6_000] as const;

interface Answered {
  frames: number;
  ms: number;
}

/**
 * Measures the time per frame of a backlog over a short and a long period; the slower one counts. Frames arrive in
 * batches, so the time since the last batch counts too: a slowdown is detected before the next batch ends.
 */
export class BacklogPace {
  #sums: readonly Answered[] = HALF_LIVES_MS.map(() => ({ frames: 0, ms: 0 }));
  #since: number;

  constructor(now: number) {
    this.#since = now;
  }

  /** Starts a backlog: the time before it does not count. */
  begin(at: number): void {
    this.#since = at;
  }

  /** Records answered frames of a backlog; 0 for abandoned frames. */
  answered(frames: number, at: number): void {
    this.#sums = this.#withNow(frames, at);
    this.#since = at;
  }

  /**
   * Time per frame in ms, as if `expected` frames were answered now. Undefined before `least` frames of a backlog were
   * answered.
   */
  perFrameMs(expected: number, least: number, at: number): number | undefined {
    if ((this.#sums.at(-1)?.frames ?? 0) < least) return undefined;
    return Math.max(
      ...this.#sums.map(({ frames, ms }) => ms / Math.max(frames, 1e-9)).filter((_, index) => index > 0),
      ...this.#withNow(expected, at).map(({ frames, ms }) => ms / frames),
    );
  }

  #withNow(frames: number, at: number): Answered[] {
    const past = at - this.#since;
    return this.#sums.map((sum, index) => {
      const kept = 0.5 ** (past / (HALF_LIVES_MS[index] as number));
      return { frames: sum.frames * kept + frames, ms: sum.ms * kept + past };
    });
  }
}
