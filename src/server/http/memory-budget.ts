import { QalignError } from '../../base/errors.js';

/** How many bytes of bodies may be in memory at a time, over all requests. */
export interface MemoryBudget {
  /** False when they are not there. */
  take(bytes: number): boolean;
  give(bytes: number): void;
  readonly used: number;
}

export function createMemoryBudget(limit: number): MemoryBudget {
  let used = 0;
  return {
    take(bytes) {
      if (used + bytes > limit) return false;
      used += bytes;
      return true;
    },
    give(bytes) {
      used -= bytes;
    },
    get used() {
      return used;
    },
  };
}

/** Holds `bytes` during `work`. @throws QalignError OVERLOADED when they are not there */
export async function withMemory<T>(budget: MemoryBudget, bytes: number, work: () => Promise<T>): Promise<T> {
  if (!budget.take(bytes))
    throw new QalignError(
      'OVERLOADED',
      `The service holds ${budget.used} bytes of other requests and has no room for ${bytes} more now.`,
      { details: { retry_after_s: 1, reason: 'memory' } },
    );
  try {
    return await work();
  } finally {
    budget.give(bytes);
  }
}
