/** The pace of the last moments sees a machine that gets slower, the longer one a machine that is slow now and then. */
const HALF_LIVES_MS = [1_000, 6_000] as const;

interface Answered {
  frames: number;
  ms: number;
}

/**
 * How fast a backlog is answered, over a short and a long time; the slower of both counts. Frames come in batches, so
 * the time since the last ones counts too: a machine that gets slower is seen before its next batch is done.
 */
export class BacklogPace {
  #sums: readonly Answered[] = HALF_LIVES_MS.map(() => ({ frames: 0, ms: 0 }));
  #since: number;

  constructor(now: number) {
    this.#since = now;
  }

  /** A backlog begins: the time before it says nothing about the pace. */
  begin(at: number): void {
    this.#since = at;
  }

  /** So many frames of a backlog were answered now; 0 for those that were given up. */
  answered(frames: number, at: number): void {
    this.#sums = this.#withNow(frames, at);
    this.#since = at;
  }

  /** In ms, as if `expected` frames were answered now; undefined before `least` frames of a backlog were answered. */
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
