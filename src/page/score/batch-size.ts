/** Number of items of the next request. */
export interface BatchSize {
  readonly value: number;
  /** A request with `items` was answered in these seconds. */
  took(seconds: number, items: number): void;
  /** A request was refused, or was too large. */
  refused(): void;
}

/** Below the limit of a service for the items of a request. */
const MOST = 32;
const QUICK_S = 2;
const SLOW_S = 8;

/** Starts with 4; doubles after quick answers, and halves after slow answers and refusals. */
export function createBatchSize(): BatchSize {
  let value = 4;
  return {
    get value() {
      return value;
    },
    took(seconds, items) {
      if (seconds < QUICK_S && items >= value) value = Math.min(MOST, value * 2);
      if (seconds > SLOW_S) value = Math.max(1, Math.floor(value / 2));
    },
    refused: () => void (value = Math.max(1, Math.floor(value / 2))),
  };
}
