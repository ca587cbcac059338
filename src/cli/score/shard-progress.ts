import { QalignError } from '../../base/errors.js';
import { formatDuration } from '../../base/units.js';
import type { ShardEvent } from '../../recipes/shards/events.js';
import type { ShardsSummary } from '../../recipes/shards/score-shards.js';
import { bar } from '../terminal/bar.js';
import { plain, type Paint } from '../terminal/colour.js';
import type { Terminal } from '../terminal/terminal.js';
import { visible } from '../terminal/visible.js';

/** What is known of a run over shards at a moment. */
export interface ShardState {
  /** Shards of the run. */
  readonly total: number;
  readonly written: number;
  readonly present: number;
  readonly failed: number;
  /** Items of results that this run wrote, and of the shard at hand. */
  readonly items: number;
  readonly failedItems: number;
  readonly elapsedMs: number;
}

/** Failures that are printed as they come; later ones are counted, and listed in the manifest. */
const FAILURES_SHOWN = 20;
const REDRAW_MS = 100;

/** Shows a run over shards: one line for all shards, or a JSON line for each event. */
export function createShardProgress(
  terminal: Pick<Terminal, 'out' | 'say' | 'progress' | 'paintErr'>,
  { json, quiet }: { readonly json: boolean; readonly quiet: boolean },
  now: () => number = () => performance.now(),
): { onEvent(event: ShardEvent): Promise<void>; total(count: number): void; finish(): void } {
  let started = now();
  let drawn = -Infinity;
  const count = { total: 0, written: 0, present: 0, failed: 0, items: 0, failedItems: 0 };
  let current = 0;
  const draw = (): void => {
    if (quiet || now() - drawn < REDRAW_MS) return;
    drawn = now();
    terminal.progress(shardLine({ ...count, items: count.items + current, elapsedMs: now() - started }));
  };
  return {
    total(shards) {
      count.total = shards;
      started = now();
    },
    async onEvent(event) {
      if (event.event === 'progress') current = event.items;
      if (event.event === 'failed') {
        [current, count.failed] = [0, count.failed + 1];
        if (count.failed <= FAILURES_SHOWN) sayError(terminal, event.error);
        if (count.failed === FAILURES_SHOWN)
          terminal.say('qalign: further failures are counted, and listed in qalign-manifest.jsonl');
      }
      if (event.event === 'done') {
        current = 0;
        count[event.commit] += 1;
        count.failedItems += event.failed;
        if (event.commit === 'written') count.items += event.items;
      }
      if (json) await terminal.out(`${JSON.stringify(event)}\n`);
      draw();
    },
    finish: () => terminal.progress(undefined),
  };
}

function sayError(
  { say, paintErr }: Pick<Terminal, 'say' | 'paintErr'>,
  { message, code }: { readonly message: string; readonly code: string },
): void {
  say(`qalign: ${paintErr('red', 'error')}: ${visible(message)} [${code}]`);
}

/**
 * A whole run whose settings do not fit the files in `--out` is wrong usage. Says so and returns its exit code.
 * @throws any other error
 */
export function wrongOutput(terminal: Pick<Terminal, 'say' | 'paintErr'>, error: unknown): 2 {
  if (!(error instanceof QalignError) || error.code !== 'RESUME_MISMATCH') throw error;
  sayError(terminal, error);
  return 2;
}

/** One line about all shards: share, rate, remaining time and failures. Present results do not count for the rate. */
export function shardLine(state: ShardState): string {
  const { total, written, present, failed, items, failedItems, elapsedMs } = state;
  const done = written + present + failed;
  const rate = elapsedMs > 0 ? (items / elapsedMs) * 1000 : 0;
  const worked = written + failed;
  const left = worked > 0 ? `, ${formatDuration(((total - done) * elapsedMs) / worked / 1000)} to go` : '';
  const share = total === 0 ? 0 : done / total;
  return [
    `${bar(share, 24)} ${done}/${total} shards (${Math.floor(share * 100)} %)`,
    ...(present === 0 ? [] : [`${present} present`]),
    ...(failed === 0 ? [] : [`${failed} failed`]),
    `${items} items${failedItems === 0 ? '' : ` (${failedItems} with errors)`}`,
    `${rate.toFixed(rate >= 10 ? 0 : 1)}/s${left}`,
  ].join(', ');
}

/** The line at the end of a run. */
export function summaryOfShards(
  { shards, written, present, failed, items, failedItems, seconds }: ShardsSummary,
  out: string,
  paint: Paint = plain,
): string {
  return [
    `${shards} ${shards === 1 ? 'shard' : 'shards'}: ${written} scored`,
    ...(present === 0 ? [] : [`${present} scored before`]),
    ...(failed === 0 ? [] : [paint('red', `${failed} failed`)]),
    `${items} items${failedItems === 0 ? '' : `, ${paint('yellow', `${failedItems} with errors`)}`}`,
    formatDuration(seconds),
    out,
  ].join(', ');
}
