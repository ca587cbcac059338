// Statistics are hand-written: they equal SciPy, with its ties and constant lists, and take a million items in seconds.

import { bootstrap, interval95, RESAMPLED, type Replicates, type Resampled, type Sample } from './bootstrap.js';
import { plcc, rmse, srcc } from './correlation.js';
import { mean } from './descriptive.js';
import { krcc } from './kendall.js';
import { fitLogistic, logisticAt, type LogisticFit } from './logistic.js';

/** Predictions against mean opinion scores, item by item. */
export interface Evaluated {
  /** Predicted scores, any scale, higher is better; length n. */
  readonly scores: ArrayLike<number>;
  /** Mean opinion scores, length n. */
  readonly mos: ArrayLike<number>;
  /** Level predicted and level of the MOS, as indices; both or none. */
  readonly levels?: { readonly predicted: ArrayLike<number>; readonly actual: ArrayLike<number> } | undefined;
  /** What must be resampled together: the source image of each item. Without it every item stands alone. */
  readonly groups?: readonly string[] | undefined;
}

/** Bootstrap samples, seed and groups of `computeMetrics`. */
export interface MetricsOptions {
  /**
   * Bootstrap samples.
   * @default 1000
   */
  readonly replicates?: number | undefined;
  /**
   * Seed of the bootstrap.
   * @default 0
   */
  readonly seed?: number | undefined;
}

/** A confidence interval. */
export type Interval = readonly [low: number, high: number];

/** Serialised as it is. A statistic that does not exist (a constant list, no levels) is null. */
export interface Metrics {
  /** Number of items. */
  readonly n: number;
  /** Number of source images, which the intervals are resampled by. */
  readonly groups: number;
  /** Spearman's rank correlation, −1 to 1. */
  readonly srcc: number | null;
  /** Pearson's correlation of the raw scores, −1 to 1, as Q-Align reports it. */
  readonly plcc: number | null;
  /** Pearson's correlation after the 4-parameter logistic function, as VQEG and DeQA-Score report it. */
  readonly plcc_logistic: number | null;
  /** Kendall's rank correlation (tau-b), −1 to 1. */
  readonly krcc: number | null;
  /** Root mean square error after the logistic function, in units of the MOS. */
  readonly rmse: number | null;
  /** (SRCC + PLCC) / 2, as the paper plots it. */
  readonly mean_correlation: number | null;
  /** Share of the items whose most probable level is the level of the MOS, 0 to 1. */
  readonly level_accuracy: number | null;
  /** Parameters of the logistic function that was fitted. */
  readonly logistic: LogisticFit | null;
  /** 95 % bootstrap interval of each statistic. */
  readonly intervals: Readonly<Record<Resampled, Interval | null>>;
  /** Bootstrap samples behind each interval. */
  readonly replicates: number;
  /** Seed of the bootstrap. */
  readonly seed: number;
}

/**
 * All metrics of one model on one data set, with 95 % intervals by source image.
 * @throws RangeError when the lengths differ or a value is not finite
 * @example const { srcc, intervals } = computeMetrics({ scores: [3.1, 4.2, 1.7], mos: [55, 80, 21] });
 */
export function computeMetrics(evaluated: Evaluated, options: MetricsOptions = {}): Metrics {
  return measure(evaluated, options).metrics;
}

/** The metrics and the replicates behind their intervals, which comparing two models needs. */
export function measure(
  evaluated: Evaluated,
  { replicates = 1000, seed = 0 }: MetricsOptions = {},
): { metrics: Metrics; replicates: Replicates } {
  const { scores, mos, levels } = evaluated;
  const [rank, raw, tau] = [srcc(scores, mos), plcc(scores, mos), krcc(scores, mos)];
  const fit = fitLogistic(scores, mos);
  const mapped = fit === undefined ? undefined : mapAll(fit, scores);
  const correct = levels === undefined ? undefined : agreement(levels.predicted, levels.actual, scores.length);
  const sample: Sample = { scores, mos, mapped, correct, ...groupNumbers(evaluated) };
  const full: Record<Resampled, number> = {
    srcc: rank,
    plcc: raw,
    plcc_logistic: mapped === undefined ? Number.NaN : plcc(mapped, mos),
    krcc: tau,
    rmse: mapped === undefined ? Number.NaN : rmse(mapped, mos),
    mean_correlation: (rank + raw) / 2,
    level_accuracy: correct === undefined || correct.length === 0 ? Number.NaN : mean(correct),
  };
  const known = Object.fromEntries(Object.entries(full).filter(([, value]) => !Number.isNaN(value)));
  const drawn = bootstrap(sample, known, { replicates, seed });
  const by = <T>(value: (name: Resampled) => T): Record<Resampled, T> =>
    Object.fromEntries(RESAMPLED.map((name) => [name, value(name)])) as Record<Resampled, T>;
  const metrics: Metrics = {
    n: scores.length,
    groups: sample.groupCount ?? scores.length,
    ...by((name) => (Number.isNaN(full[name]) ? null : full[name])),
    logistic: fit ?? null,
    // one source image alone says nothing of how another would do
    intervals: by((name) => (sample.groupCount === 1 ? null : (interval95(drawn[name]) ?? null))),
    replicates,
    seed,
  };
  return { metrics, replicates: drawn };
}

function mapAll(fit: LogisticFit, scores: ArrayLike<number>): Float64Array {
  const result = new Float64Array(scores.length);
  for (let i = 0; i < result.length; i++) result[i] = logisticAt(fit, scores[i]!);
  return result;
}

function agreement(predicted: ArrayLike<number>, actual: ArrayLike<number>, n: number): Float64Array {
  if (predicted.length !== n || actual.length !== n)
    throw new RangeError(`${n} levels of each kind are needed; got ${predicted.length} and ${actual.length}`);
  const result = new Float64Array(n);
  for (let i = 0; i < n; i++) result[i] = predicted[i] === actual[i] ? 1 : 0;
  return result;
}

function groupNumbers({ groups, scores }: Evaluated): Pick<Sample, 'groups' | 'groupCount'> {
  if (groups === undefined) return {};
  if (groups.length !== scores.length)
    throw new RangeError(`${scores.length} groups are needed, one an item; got ${groups.length}`);
  const numbers = new Map<string, number>();
  const result = new Uint32Array(groups.length);
  for (let i = 0; i < result.length; i++) {
    const known = numbers.get(groups[i]!);
    result[i] = known ?? numbers.size;
    if (known === undefined) numbers.set(groups[i]!, numbers.size);
  }
  return { groups: result, groupCount: numbers.size };
}
/** Counts of (actual level, predicted level), rows by actual level; both as indices below `count`. */
export function confusion(predicted: ArrayLike<number>, actual: ArrayLike<number>, count: number): number[][] {
  if (predicted.length !== actual.length)
    throw new RangeError(`two lists of one length are needed; got ${predicted.length} and ${actual.length}`);
  const table = Array.from({ length: count }, () => new Array<number>(count).fill(0));
  for (let i = 0; i < predicted.length; i++) {
    const row = table[actual[i]!];
    if (row === undefined || !(predicted[i]! in row))
      throw new RangeError(`a level at position ${i} is not below ${count}: ${actual[i]} and ${predicted[i]}`);
    row[predicted[i]!]!++;
  }
  return table;
}
