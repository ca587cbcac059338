import type { Lane } from './lane.js';

/** After so many interactive holders in a row a bulk one is let through, as in the engine's queue. */
const AGEING = 8;

/** At most `width` holders at a time; of those who wait, interactive ones first. */
export interface LaneGate {
  pass<T>(lane: Lane, work: () => Promise<T>, signal?: AbortSignal): Promise<T>;
  readonly running: number;
  waiting(lane: Lane): number;
}

export function createLaneGate(width: number | (() => number)): LaneGate {
  const isFull = (): boolean => running >= (typeof width === 'number' ? width : width());
  const lanes: Record<Lane, Set<() => void>> = { interactive: new Set(), bulk: new Set() };
  let running = 0;
  let inARow = 0;

  const next = (): Lane | undefined => {
    if (lanes.interactive.size === 0) return lanes.bulk.size === 0 ? undefined : 'bulk';
    return lanes.bulk.size > 0 && inARow >= AGEING ? 'bulk' : 'interactive';
  };
  const release = (): void => {
    running--;
    const lane = next();
    if (lane === undefined) return;
    inARow = lane === 'interactive' ? inARow + 1 : 0;
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
