import { LaneTurns, type Lane } from './lane.js';

/** Lets at most `width` callers run at a time. Interactive callers enter before bulk callers (see LaneTurns). */
export interface PriorityGate {
  pass<T>(lane: Lane, work: () => Promise<T>, signal?: AbortSignal): Promise<T>;
  readonly running: number;
  waiting(lane: Lane): number;
}

export function createPriorityGate(width: number | (() => number)): PriorityGate {
  const isFull = (): boolean => running >= (typeof width === 'number' ? width : width());
  const lanes: Record<Lane, Set<() => void>> = { interactive: new Set(), bulk: new Set() };
  const turns = new LaneTurns();
  let running = 0;

  const release = (): void => {
    running--;
    const lane = turns.next({ interactive: lanes.interactive.size, bulk: lanes.bulk.size });
    if (lane === undefined) return;
    const [enter] = lanes[lane];
    if (enter !== undefined) enter();
  };
  const enter = (lane: Lane, signal: AbortSignal | undefined): Promise<void> =>
    new Promise((resolve, reject) => {
      const start = (): void => {
        lanes[lane].delete(start);
        signal?.removeEventListener('abort', leave);
        running++;
        resolve();
      };
      const leave = (): void => {
        lanes[lane].delete(start);
        reject(signal?.reason as Error);
      };
      if (signal?.aborted === true) return leave();
      if (!isFull()) return start();
      lanes[lane].add(start);
      signal?.addEventListener('abort', leave, { once: true });
    });

  return {
    async pass(lane, work, signal) {
      await enter(lane, signal);
      try {
        return await work();
      } finally {
        release();
      }
    },
    get running() {
      return running;
    },
    waiting: (lane) => lanes[lane].size,
  };
}
