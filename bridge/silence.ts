/**
 * Measures how long a worker has been silent, and decides whether to send another ping. A pause of this process itself
 * counts as at most two ticks.
 */
export class Silence {
  #ms = 0;
  #unanswered = 0;

  constructor(
    private readonly tickMs: number,
    private last: number,
  ) {}

  /** Must be called about every `tickMs`. Returns the silence in ms. */
  tick(now: number): number {
    // a stopped process, or a busy event loop, has not received messages
    this.#ms += Math.min(now - this.last, 2 * this.tickMs);
    this.last = now;
    return this.#ms;
  }

  /** Ends the silence. Any message shows that the worker reads its messages. */
  broken(): void {
    this.#ms = 0;
    this.#unanswered = 0;
  }

  /** Returns true if another ping can be sent. Without this limit, pings to a stopped worker would fill its queue. */
  mayAsk(): boolean {
    return this.#unanswered < MOST_UNANSWERED && ++this.#unanswered > 0;
  }
}

const MOST_UNANSWERED = 3;
