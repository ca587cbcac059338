/**
 * How long a worker has been silent, and whether it may be asked again. Time in which this process itself stood still
 * counts little.
 */
export class Silence {
  #ms = 0;
  #unanswered = 0;

  constructor(
    private readonly tickMs: number,
    private last: number,
  ) {}

  /** Called about every `tickMs`. Returns the silence in ms. */
  tick(now: number): number {
    // a process that was stopped, or whose event loop was busy, has not listened
    this.#ms += Math.min(now - this.last, 2 * this.tickMs);
    this.last = now;
    return this.#ms;
  }

  /** Any message breaks it, and shows that what was sent is read. */
  broken(): void {
    this.#ms = 0;
    this.#unanswered = 0;
  }

  /** Whether one more ping may be sent: those that a stopped worker does not read would fill its queue. */
  mayAsk(): boolean {
    return this.#unanswered < MOST_UNANSWERED && ++this.#unanswered > 0;
  }
}

const MOST_UNANSWERED = 3;
