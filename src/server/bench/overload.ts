import { closedLoop, forSeconds, openLoop, shotOf, type LoadResult } from './load.js';
import { startBusyProcesses } from './busy-processes.js';
import type { Served } from './served.js';

/** Settings of the overload measurement. */
export interface OverloadConfig {
  /** Multiples of the capacity to send. */
  readonly times: readonly number[];
  /** Duration of each multiple. */
  readonly seconds: number;
  /** Number of busy processes. Each multiple is sent without them, then beside them. 0: only without. */
  readonly beside: number;
}

/** Result for one multiple of the capacity, alone or beside busy processes. */
export interface OverloadRow extends LoadResult {
  readonly times_capacity: number;
  /** Number of busy processes. */
  readonly beside: number;
  readonly connections_dropped: number;
}

export interface OverloadResult {
  /** Rate with one picture a request, 32 open requests and no busy processes. */
  readonly capacity_items_per_second: number;
  readonly overload: readonly OverloadRow[];
}

/** Deadline that each request states. */
const WITHIN_MS = 5_000;
const WIDTH = 32;
const CAPACITY_SECONDS = 4;
/** The capacity is measured in at most this many windows. */
const MOST_WINDOWS = 12;
const STEADY_WITHIN = 0.1;
/** Time for earlier requests to be answered and for the busy processes to start. */
const SETTLE_SECONDS = 3;

interface OverloadParts {
  readonly served: Served;
  readonly picture: { readonly name: string; readonly data: Uint8Array };
  readonly config: OverloadConfig;
  readonly signal: AbortSignal | undefined;
  readonly onStep: (message: string) => void;
}

/** Measures the capacity of the service, then sends multiples of it in an open loop. Each request has a deadline. */
export async function measureOverload(parts: OverloadParts): Promise<OverloadResult> {
  const { served, picture, config, signal, onStep } = parts;
  onStep('capacity');
  const patient = [shotOf([picture], 60_000)];
  const capacity = await steadyRate(async () => {
    signal?.throwIfAborted();
    return (await closedLoop(served.url, patient, WIDTH, forSeconds(CAPACITY_SECONDS))).items_per_second;
  });
  const overload: OverloadRow[] = [];
  for (const beside of config.beside > 0 ? [0, config.beside] : [0]) {
    const busy = startBusyProcesses(beside);
    try {
      for (const times of config.times) {
        signal?.throwIfAborted();
        onStep(`${times} times ${capacity.toFixed(1)} requests a second, ${beside} busy processes beside it`);
        overload.push(await sendMultiple(parts, capacity, times, beside));
      }
    } finally {
      busy.stop();
    }
  }
  return { capacity_items_per_second: capacity, overload };
}

/**
 * Returns the best of the rates that `measure` returns. A service speeds up after its start, and other processes slow
 * it down for moments. Measuring ends when two rates in a row are within 10 % of the best.
 */
export async function steadyRate(measure: () => Promise<number>): Promise<number> {
  let best = 0;
  for (let window = 0, steady = 0; window < MOST_WINDOWS && steady < 2; window++) {
    const rate = await measure();
    steady = Math.abs(rate - best) <= best * STEADY_WITHIN ? steady + 1 : 0;
    best = Math.max(best, rate);
  }
  return best;
}

async function sendMultiple(
  { served, picture, config, signal }: OverloadParts,
  capacity: number,
  times: number,
  beside: number,
): Promise<OverloadRow> {
  await new Promise((resolve) => setTimeout(resolve, SETTLE_SECONDS * 1000));
  const before = await served.dropped();
  const result = await openLoop(served.url, [shotOf([picture], WITHIN_MS)], capacity * times, {
    seconds: config.seconds,
    signal,
  });
  return { times_capacity: times, beside, connections_dropped: (await served.dropped()) - before, ...result };
}

/** The rows as table cells, the header first. */
export function overloadCells(rows: readonly OverloadRow[]): string[][] {
  const ms = (p50: number | null, p99: number | null): string =>
    p50 === null || p99 === null ? '–' : `${p50.toFixed(0)}/${p99.toFixed(0)}`;
  const head = ['load', 'busy', 'sent', 'refused', 'admitted', 'late', 'share', 'overdue', 'scored/s'];
  return [
    [...head, 'p50/p99 ms', '429 ms', '504 ms'],
    ...rows.map((row) => [
      `${row.times_capacity}×`,
      ...[row.beside, row.sent, row.refused, row.admitted, row.late].map(String),
      `${(row.late_share * 100).toFixed(2)}%`,
      String(row.overdue),
      row.items_per_second.toFixed(1),
      ms(row.p50_ms, row.p99_ms),
      ms(row.refused_p50_ms, row.refused_p99_ms),
      ms(row.late_p50_ms, row.late_p99_ms),
    ]),
  ];
}
