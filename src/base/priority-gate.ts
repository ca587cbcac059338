import { LaneTurns, type Lane } from './lane.js';

/**
 * Lets callers run at a time whose costs add up to at most `width`. A caller that costs more runs alone. Interactive
 * callers enter before bulk callers (see LaneTurns), and callers of one lane enter in order of arrival.
 */
export interface PriorityGate {
  /** Runs `work` between `enter` and `leave`. */
  pass<T>(lane: Lane, work: () => Promise<T>, signal?: AbortSignal, cost?: number): Promise<T>;
  /**
   * Waits for a place and returns the function that gives it back. Further calls of that function have no effect.
   * @param cost default: 1
   */
  enter(lane: Lane, signal?: AbortSignal, cost?: number): Promise<() => void>;
  /** Cost of all callers inside. */
  readonly running: number;
  waiting(lane: Lane): number;
}

interface Caller {
  readonly cost: number;
  readonly start: () => void;
}

export function createPriorityGate(width: number | (() => number)): PriorityGate {
  const lanes: Record<Lane, Set<Caller>> = { interactive: new Set(), bulk: new Set() };
  const turns = new LaneTurns();
  let running = 0;
  /** The caller of the next turn, while it does not fit. */
  let next: Caller | undefined;

  const fits = (cost: number): boolean =>
    running === 0 || running + cost <= (typeof width === 'number' ? width : width());
  const nextCaller = (): Caller | undefined => {
    const lane = turns.next({ interactive: lanes.interactive.size, bulk: lanes.bulk.size });
    if (lane === undefined) return undefined;
    const [first] = lanes[lane];
    return first;
  };
  const startNext = (): void => {
    while ((next ??= nextCaller()) !== undefined && fits(next.cost)) next.start();
  };
  const leaveOnce = (cost: number): (() => void) => {
    let inside = true;
    return () => {
      if (!inside) return;
      inside = false;
      running -= cost;
      startNext();
    };
  };
  const enter = (lane: Lane, signal?: AbortSignal, cost = 1): Promise<() => void> =>
    new Promise((resolve, reject) => {
      const remove = (): void => {
        lanes[lane].delete(caller);
        if (next === caller) next = undefined;
      };
      const start = (): void => {
        remove();
        signal?.removeEventListener('abort', cancel);
        running += cost;
        resolve(leaveOnce(cost));
      };
      const cancel = (): void => {
        const blocked = next === caller;
        remove();
        reject(signal?.reason as Error);
        if (blocked) startNext();
      };
      const caller: Caller = { cost, start };
      if (signal?.aborted === true) return reject(signal.reason as Error);
      signal?.addEventListener('abort', cancel, { once: true });
      lanes[lane].add(caller);
      if (lanes.interactive.size + lanes.bulk.size === 1 && fits(cost)) start();
    });

  return {
    async pass(lane, work, signal, cost) {
      const leave = await enter(lane, signal, cost);
      try {
        return await work();
      } finally {
        leave();
      }
    },
    enter,
    get running() {
      return running;
    },
    waiting: (lane) => lanes[lane].size,
  };
}
