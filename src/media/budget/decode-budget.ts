import { QalignError } from '../../base/errors.js';

/** Bytes of memory that decoding can take at a time, shared by threads and pools. */
export interface DecodeBudget {
  readonly most: number;
  /** If true, a picture that needs more than `most` is an error. Otherwise it is decoded while nothing else is. */
  readonly refuses: boolean;
  readonly used: number;
  /** Number of waiting callers: pools whose next picture needs more memory than is free. */
  readonly waiting: number;
  /**
   * Takes bytes from the budget. Returns false if they are not free or if another caller has waited longer. `wake` is
   * called when a retry makes sense. It also identifies the caller.
   */
  take(bytes: number, wake: () => void): boolean;
  give(bytes: number): void;
  /** Removes a waiting caller. */
  leave(wake: () => void): void;
}

/** @throws QalignError CONFIG_INVALID */
export function createDecodeBudget(
  most: number,
  { refuses = false }: { readonly refuses?: boolean } = {},
): DecodeBudget {
  if (!(most > 0))
    throw new QalignError(
      'CONFIG_INVALID',
      `A memory budget of ${most} bytes is too small to decode pictures; give more than 0.`,
    );
  const waiting = new Set<() => void>(); // in order of arrival
  let used = 0;
  const wakeFirst = (): void => {
    const [first] = waiting;
    if (first !== undefined) queueMicrotask(first);
  };
  return {
    most,
    refuses,
    get used() {
      return used;
    },
    get waiting() {
      return waiting.size;
    },
    take(bytes, wake) {
      const [first = wake] = waiting;
      if (first !== wake || used + bytes > most) {
        waiting.add(wake);
        return false;
      }
      if (waiting.delete(wake)) wakeFirst(); // there can be room for the next caller too
      used += bytes;
      return true;
    },
    give(bytes) {
      used -= bytes;
      wakeFirst();
    },
    leave(wake) {
      if (waiting.delete(wake)) wakeFirst();
    },
  };
}
