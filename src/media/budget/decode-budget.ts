import { QalignError } from '../../base/errors.js';

/** Bytes that decoding may take at a time, over all threads and all pools that share it. */
export interface DecodeBudget {
  readonly most: number;
  /** What needs more than `most` is an error; otherwise it is decoded while nothing else is. */
  readonly refuses: boolean;
  readonly used: number;
  /** Callers that wait for it: pools whose next picture needs more than is free. */
  readonly waiting: number;
  /**
   * False while they are not free, or while another caller waits longer. `wake` is then called once it makes sense to
   * try again; it stands for the caller.
   */
  take(bytes: number, wake: () => void): boolean;
  give(bytes: number): void;
  /** The caller waits no longer. */
  leave(wake: () => void): void;
}

/** @throws QalignError CONFIG_INVALID */
export function createDecodeBudget(
  most: number,
  { refuses = false }: { readonly refuses?: boolean } = {},
): DecodeBudget {
  if (!(most > 0))
    throw new QalignError('CONFIG_INVALID', `A memory of ${most} bytes cannot decode pictures; give more.`);
  const waiting = new Set<() => void>(); // in the order of their coming
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
      if (waiting.delete(wake)) wakeFirst(); // there may be room for the next one too
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
