import { formatDuration } from '../../base/units.js';
import { bar } from './bar.js';
import type { Terminal } from './terminal.js';

export interface ProgressBar {
  /** Counts one input, finished now or `kept` from an earlier run. */
  step(state?: { readonly failed?: boolean; readonly kept?: boolean }): void;
  /** Sets the number of inputs when it is known. */
  total(count: number): void;
  finish(): void;
}

const REDRAW_MS = 100;

/** Shows a setup step, with its percentage if the total is known. */
export function createSetupProgress(terminal: Terminal): (message: string, done?: number, total?: number) => void {
  return (message, done = 0, total = 0) =>
    terminal.progress(total === 0 ? message : `${message} ${Math.floor((done / total) * 100)} %`);
}

/** A progress bar on stderr with rate and remaining time. `now` returns milliseconds. */
export function createProgressBar(terminal: Terminal, now: () => number = () => performance.now()): ProgressBar {
  const started = now();
  let [done, kept, failed, lastDrawn] = [0, 0, 0, -Infinity];
  let expected: number | undefined;
  const draw = (force: boolean): void => {
    if (!force && now() - lastDrawn < REDRAW_MS) return;
    lastDrawn = now();
    terminal.progress(progressLine({ done, kept, failed, total: expected, elapsedMs: now() - started }));
  };
  return {
    step(state = {}) {
      done += 1;
      if (state.kept === true) kept += 1;
      if (state.failed === true) failed += 1;
      draw(false);
    },
    total(count) {
      expected = count;
      draw(true);
    },
    finish: () => terminal.progress(undefined),
  };
}

const BEAT_MS = 1000;

/** Shows the elapsed time of work that does not report its progress. */
export async function whileWorking<T>(terminal: Terminal, message: string, work: () => Promise<T>): Promise<T> {
  const started = performance.now();
  terminal.progress(`${message} …`);
  const beat = setInterval(
    () => terminal.progress(`${message}, ${formatDuration((performance.now() - started) / 1000)} so far`),
    BEAT_MS,
  );
  try {
    return await work();
  } finally {
    clearInterval(beat);
    terminal.progress(undefined);
  }
}

/** A progress line. Rate and remaining time exclude inputs `kept` from an earlier run. */
export function progressLine({
  done,
  kept = 0,
  failed,
  total,
  elapsedMs,
}: {
  done: number;
  kept?: number;
  failed: number;
  total: number | undefined;
  elapsedMs: number;
}): string {
  const rate = elapsedMs > 0 ? ((done - kept) / elapsedMs) * 1000 : 0;
  const speed = rate > 0 && rate < 0.1 ? `${(rate * 60).toFixed(1)}/min` : `${rate.toFixed(rate >= 10 ? 0 : 1)}/s`;
  const bad = failed === 0 ? '' : `, ${failed} failed`;
  const before = kept === 0 ? '' : `, ${kept} scored before`;
  if (total === undefined || total === 0) return `${done - kept - failed} scored${bad}${before}, ${speed}`;
  const share = Math.min(1, done / total);
  const left = rate > 0 ? `, ${formatDuration((total - done) / rate)} to go` : '';
  return `${bar(share, 24)} ${done}/${total} (${Math.floor(share * 100)} %)${bad}${before}, ${speed}${left}`;
}
