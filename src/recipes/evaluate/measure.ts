import { computeMetrics, confusion, type Metrics, type MetricsOptions } from '../../scoring/statistics/metrics.js';
import { LEVELS } from '../../scoring/levels.js';
import { logisticAt } from '../../scoring/statistics/logistic.js';
import { wordPairScore } from '../../scoring/score.js';
import { NO_LEVEL, type PredictionFailure, type PredictionTable } from './predictions.js';

/**
 * How scores are computed from the logits: `levels` by the weighted sum of five levels, `two_words` by "good" against
 * "poor".
 */
export type Rule = 'levels' | 'two_words';

/** The predicted rows of a table, in the order of the records. */
export interface Rows {
  /** Row numbers in the table. */
  readonly index: Uint32Array;
  readonly scores: Float64Array;
  readonly mos: Float64Array;
}

export interface Miss {
  readonly index: number;
  readonly id: string;
  readonly mos: number;
  readonly score: number;
  /** Score after the logistic mapping minus the MOS, in units of the MOS. */
  readonly error: number;
}

/** The measurements of one predictions file. Part of evaluation.json. */
export interface DatasetMeasures {
  /** Name of the entry of `data`. */
  readonly dataset: string;
  /** Number of records; `metrics.n` of them have a prediction. */
  readonly records: number;
  /** Records that could not be scored. */
  readonly failed: readonly PredictionFailure[];
  /** Predictions with warnings. They are included in the metrics. */
  readonly warned: readonly { readonly index: number; readonly id: string; readonly warnings: readonly string[] }[];
  /** Agreement with the ratings. */
  readonly metrics: Metrics;
  /** Lowest and highest score and MOS of the predicted items; zeros without items. */
  readonly ranges: { readonly score: readonly [number, number]; readonly mos: readonly [number, number] };
  /** Items at each level, in the order of LEVELS; `mos` is null if the records have no levels. */
  readonly level_counts: { readonly predicted: readonly number[]; readonly mos: readonly number[] | null };
  /**
   * Counts, with the level of the MOS as rows and the predicted level as columns, in the order of LEVELS. Null if the
   * records have no levels.
   */
  readonly confusion: readonly (readonly number[])[] | null;
  /** Items whose score is farthest from the MOS. */
  readonly worst: readonly Miss[];
}

export function scoredRows(table: PredictionTable, rule: Rule): Rows {
  const index = table.state.reduce<number[]>((found, state, i) => (state === 1 ? (found.push(i), found) : found), []);
  const [scores, mos] = [new Float64Array(index.length), new Float64Array(index.length)];
  const width = LEVELS.length;
  const [good, poor] = [LEVELS.indexOf('good'), LEVELS.indexOf('poor')];
  index.forEach((row, k) => {
    scores[k] =
      rule === 'levels'
        ? table.scores[row]!
        : wordPairScore(table.logits[row * width + good]!, table.logits[row * width + poor]!);
    mos[k] = table.mos[row]!;
  });
  return { index: Uint32Array.from(index), scores, mos };
}

/** Computes metrics, levels and the worst errors of some rows. The scores can be those of an ensemble. */
export function measurePredictions(
  table: PredictionTable,
  rows: Rows,
  options: MetricsOptions = {},
  worst = 12,
): DatasetMeasures {
  const { index, scores, mos } = rows;
  const n = index.length;
  const [predicted, actual] = [new Uint8Array(n), new Uint8Array(n)];
  let named = true;
  for (let k = 0; k < n; k++) {
    predicted[k] = table.level[index[k]!]!;
    actual[k] = table.mosLevel[index[k]!]!;
    named &&= actual[k] !== NO_LEVEL;
  }
  const grouped = anyGrouped(table, index);
  const metrics = computeMetrics(
    {
      scores,
      mos,
      ...(named && n > 0 ? { levels: { predicted, actual } } : {}),
      ...(grouped ? { groups: Array.from(index, (row) => table.groups[row]!) } : {}),
    },
    options,
  );
  return {
    dataset: table.header.dataset,
    records: table.header.n,
    failed: [...table.failures.values()].sort((a, b) => a.index - b.index),
    warned: [...table.warnings]
      .sort(([a], [b]) => a - b)
      .map(([index, warnings]) => ({ index, id: table.ids[index]!, warnings })),
    metrics,
    ranges: { score: rangeOf(scores), mos: rangeOf(mos) },
    level_counts: { predicted: counts(predicted), mos: named && n > 0 ? counts(actual) : null },
    confusion: named && n > 0 ? confusion(predicted, actual, LEVELS.length) : null,
    worst: worstMisses(table, rows, metrics, worst),
  };
}

/** Whether any record has a group other than its own id. If not, every row is its own group and no names are needed. */
function anyGrouped(table: PredictionTable, index: Uint32Array): boolean {
  return index.some((row) => table.groups[row] !== table.ids[row]);
}

function rangeOf(values: Float64Array): [number, number] {
  if (values.length === 0) return [0, 0];
  return [values.reduce((a, b) => Math.min(a, b)), values.reduce((a, b) => Math.max(a, b))];
}

function counts(levels: Uint8Array): number[] {
  const result = new Array<number>(LEVELS.length).fill(0);
  for (const level of levels) result[level]!++;
  return result;
}

function worstMisses(
  table: PredictionTable,
  { index, scores, mos }: Rows,
  { logistic }: Metrics,
  count: number,
): Miss[] {
  if (logistic === null) return [];
  const top: Miss[] = [];
  for (let k = 0; k < index.length; k++) {
    const error = logisticAt(logistic, scores[k]!) - mos[k]!;
    if (top.length === count && Math.abs(error) <= Math.abs(top[count - 1]!.error)) continue;
    top.push({ index: index[k]!, id: table.ids[index[k]!]!, mos: mos[k]!, score: scores[k]!, error });
    top.sort((a, b) => Math.abs(b.error) - Math.abs(a.error) || a.index - b.index);
    top.length = Math.min(top.length, count);
  }
  return top;
}
