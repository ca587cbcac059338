/**
 * Items that are sent to a worker together. The batch of an item changes the rounding of its answer, so a result with
 * the same bytes in every run needs the same batches.
 */
export interface BatchPlace {
  readonly group: BatchGroup<unknown>;
  /** Position in the group, from 0. */
  readonly at: number;
}

/** Holds items until all places of the group are taken or empty, and then releases them in the order of places. */
export class BatchGroup<T> {
  readonly #held = new Map<number, T>();
  readonly #open: Set<number>;
  #release: ((items: T[]) => void) | undefined;

  /** @param size number of places */
  constructor(size: number) {
    this.#open = new Set(Array.from({ length: size }, (_, at) => at));
  }

  /** Takes a place. `release` gets the items of all places when the last one is decided. */
  take(at: number, item: T, release: (items: T[]) => void): void {
    this.#held.set(at, item);
    this.#release ??= release;
    this.#decide(at);
  }

  /** Empties a place, as of an item that failed before it was sent. Does nothing for a place that was taken. */
  giveUp(at: number): void {
    this.#decide(at);
  }

  #decide(at: number): void {
    if (!this.#open.delete(at) || this.#open.size > 0) return;
    const items = [...this.#held].sort(([a], [b]) => a - b).map(([, item]) => item);
    this.#held.clear();
    if (items.length > 0) this.#release?.(items);
  }
}
