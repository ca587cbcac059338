/** src/recipes/score/map scores the windows of a picture, and writes their map into tables. */
import type { QualityMap } from '../../../api/quality-map.js';
import { QalignError } from '../../../base/errors.js';
import type { PreparedMedia } from '../../../media/preparer.js';
import type { PreparedWindows, WindowRange } from '../../../media/windows/prepare-windows.js';
import type { Scale } from '../../../scoring/levels.js';
import { mapMedian } from '../../../scoring/quality-map.js';
import { scoreLogits } from '../../../scoring/score.js';
import { WINDOWS_AT_A_TIME } from '../gate/in-flight.js';
import type { ScoringAnswer, ScoringEngine } from '../scorer.js';

/** The answers for the whole picture, and one map for each prompt. */
export type AskedWithMap = Omit<PreparedMedia, 'data'> & {
  readonly answers: readonly ScoringAnswer[];
  readonly maps: readonly QualityMap[];
};

type Ask = (item: Parameters<ScoringEngine['score']>[0]) => Promise<ScoringAnswer[]>;

/** Dependencies of scoring one picture with its windows. */
export interface WindowParts {
  readonly prepare: (range: WindowRange) => Promise<PreparedWindows>;
  readonly ask: Ask;
  readonly askWindow: Ask;
  readonly prompts: Parameters<ScoringEngine['score']>[0]['prompts'];
  readonly scale: Scale;
  readonly signal: AbortSignal | undefined;
  /** Refuses the warnings of the picture in strict mode. */
  readonly check: (warnings: readonly string[]) => void;
}

/**
 * Scores a whole picture, then its windows, each as an item of one frame. The picture is alone in its item, so that its
 * score is that of a call without a map. Memory holds the windows of one range.
 *
 * @throws QalignError of the first window that cannot be prepared or scored; MEDIA_CORRUPT if the file changes
 */
export async function askWithMap(parts: WindowParts): Promise<AskedWithMap> {
  const { prepare, ask, askWindow, prompts, scale, signal, check } = parts;
  const first = await prepare({ from: 0, count: WINDOWS_AT_A_TIME });
  const { plan, original, warnings, decoder } = first;
  check(warnings);
  const total = plan.xs.length * plan.ys.length;
  const [whole, ...cuts] = picturesIn(first, 1 + Math.min(WINDOWS_AT_A_TIME, total));
  const answers = await ask(itemOf(whole!, prompts));
  const values: number[][] = prompts.map(() => []);
  for (let from = 0; from < total; from += WINDOWS_AT_A_TIME) {
    signal?.throwIfAborted();
    const count = Math.min(WINDOWS_AT_A_TIME, total - from);
    const windows = from === 0 ? cuts : picturesIn(await again(prepare, first, { from, count }), count);
    // all are awaited, so that none is in memory after the range
    const asked = await Promise.allSettled(windows.map((data) => askWindow(itemOf(data, prompts))));
    for (const one of asked) {
      if (one.status === 'rejected') throw one.reason as Error;
      one.value.forEach(({ logits, logSumExp }, at) => values[at]!.push(scoreLogits(logits, logSumExp, scale).score));
    }
  }
  const maps = values.map((own): QualityMap => ({
    scores_of: 'windows',
    window: plan.window,
    xs: [...plan.xs],
    ys: [...plan.ys],
    values: own,
    median: mapMedian({ values: own }),
    warnings: [...plan.warnings],
  }));
  return { frames: 1, ...original, decoder, warnings, answers, maps };
}

const itemOf = (data: Uint8Array, prompts: WindowParts['prompts']): Parameters<Ask>[0] => ({
  visuals: [{ frames: 1, data }],
  prompts,
});

/** Splits the block of a range into its pictures, without copying. */
function picturesIn({ data }: PreparedWindows, count: number): Uint8Array[] {
  const bytes = data.length / count;
  return Array.from({ length: count }, (_, i) => data.subarray(i * bytes, (i + 1) * bytes));
}

/** Prepares the next range. @throws QalignError MEDIA_CORRUPT if the picture has another size than before */
async function again(
  prepare: WindowParts['prepare'],
  { original: { width, height } }: PreparedWindows,
  range: WindowRange,
): Promise<PreparedWindows> {
  const next = await prepare(range);
  if (next.original.width === width && next.original.height === height) return next;
  throw new QalignError(
    'MEDIA_CORRUPT',
    `The picture changed from ${width}x${height} to ${next.original.width}x${next.original.height} while its windows were scored; score it again.`,
  );
}
