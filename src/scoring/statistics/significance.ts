import { interval95, RESAMPLED, type Resampled } from './bootstrap.js';
import { measure, type Interval, type Metrics, type MetricsOptions } from './metrics.js';

/** One statistic of two models on the same items. */
export interface Difference {
  /** First model minus second. */
  readonly difference: number;
  /** 95 % bootstrap interval of the difference. */
  readonly interval: Interval;
  /**
   * Two-sided p-value of the bootstrap: twice the share of replicates on the far side of zero, never below
   * 2 / (replicates + 1).
   */
  readonly p: number;
}

/** Two models on the same items: their differences, with intervals and p. */
export interface Comparison {
  /** Number of items. */
  readonly n: number;
  /** Metrics of the first model. */
  readonly first: Metrics;
  /** Metrics of the second model. */
  readonly second: Metrics;
  /** Difference of each statistic; null where it does not exist. */
  readonly differences: Readonly<Record<Resampled, Difference | null>>;
}

/**
 * Whether two models differ on the same items, by the paired bootstrap over source images. Both models are evaluated on
 * the same draws, so that the difficulty of an image cancels out.
 *
 * @throws RangeError if the models do not have the same number of items
 * @example
 * ```ts
 * const mos = [55, 80, 21, 64];
 * const { differences } = compareModels({ mos, first: [3.1, 4.2, 1.7, 3.3], second: [2.9, 3.1, 2.2, 3.4] });
 * console.log(differences.srcc?.interval, differences.srcc?.p);
 * ```
 */
export function compareModels(
  data: {
    mos: ArrayLike<number>;
    first: ArrayLike<number>;
    second: ArrayLike<number>;
    groups?: readonly string[] | undefined;
    levels?: { first: ArrayLike<number>; second: ArrayLike<number>; actual: ArrayLike<number> } | undefined;
  },
  options: MetricsOptions = {},
): Comparison {
  const { mos, groups, levels } = data;
  const one = (which: 'first' | 'second'): ReturnType<typeof measure> =>
    measure(
      {
        scores: data[which],
        mos,
        groups,
        levels: levels === undefined ? undefined : { predicted: levels[which], actual: levels.actual },
      },
      options,
    );
  const [first, second] = [one('first'), one('second')];
  const differences = Object.fromEntries(
    RESAMPLED.map((name) => {
      const [a, b] = [first.metrics[name], second.metrics[name]];
      const drawn = first.replicates[name].map((value, i) => value - second.replicates[name][i]!);
      const interval = interval95(drawn);
      return [
        name,
        a === null || b === null || interval === undefined ? null : { difference: a - b, interval, p: twoSided(drawn) },
      ];
    }),
  ) as Record<Resampled, Difference | null>;
  return { n: mos.length, first: first.metrics, second: second.metrics, differences };
}

function twoSided(drawn: Float64Array): number {
  const [low, high] = [drawn.filter((value) => value <= 0).length, drawn.filter((value) => value >= 0).length];
  return Math.min(1, (2 * (Math.min(low, high) + 1)) / (drawn.length + 1));
}
