import { QalignError } from '../../base/errors.js';

/** Limits the bytes of bodies in memory. */
export interface MemoryBudget {
  /** Returns false when the bytes are not available. */
  take(bytes: number): boolean;
  give(bytes: number): void;
  readonly used: number;
}

/** Limit over all requests. */
export interface SharedMemory extends MemoryBudget {
  /** Share of the limit for one client. */
  of(client: string): MemoryBudget;
}

/** `mostOf` returns the share of the limit for a client. */
export function createMemoryBudget(limit: number, mostOf: (client: string) => number = () => limit): SharedMemory {
  const all = createCounter(limit);
  const clients = new Map<string, MemoryBudget>();
  return {
    take: (bytes) => all.take(bytes),
    give: (bytes) => all.give(bytes),
    get used() {
      return all.used;
    },
    of(client) {
      // Looked up for each call: several requests of a client begin before the first of them takes anything.
      const own = (): MemoryBudget | undefined => clients.get(client);
      return {
        take(bytes) {
          const counter = own() ?? createCounter(mostOf(client));
          if (!counter.take(bytes)) return false;
          if (!all.take(bytes)) {
            counter.give(bytes);
            return false;
          }
          clients.set(client, counter);
          return true;
        },
        give(bytes) {
          own()?.give(bytes);
          all.give(bytes);
          if (own()?.used === 0) clients.delete(client);
        },
        get used() {
          return own()?.used ?? 0;
        },
      };
    },
  };
}

function createCounter(limit: number): MemoryBudget {
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

/**
 * Yields the chunks and takes each from the budget as it arrives; `held` counts them. @throws QalignError OVERLOADED
 */
export async function* taken(
  chunks: AsyncIterable<Buffer>,
  budget: MemoryBudget,
  held: { bytes: number },
): AsyncGenerator<Buffer, void, undefined> {
  for await (const chunk of chunks) {
    if (!budget.take(chunk.length)) throw memoryIsFull(budget);
    held.bytes += chunk.length;
    yield chunk;
  }
}

export const memoryIsFull = ({ used }: MemoryBudget): QalignError =>
  new QalignError(
    'OVERLOADED',
    `The memory for request bodies is full (${used} bytes are yours); send this request again later.`,
    { details: { retry_after_s: 1, reason: 'memory' } },
  );
