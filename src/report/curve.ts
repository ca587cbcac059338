/** A curve of at most a few hundred points, as parallel columns. Each point stands for `n` values. */
export interface CurveColumns {
  /** Mean of the x values of a point. */
  readonly x: readonly number[];
  readonly mean: readonly number[];
  readonly min: readonly number[];
  readonly max: readonly number[];
  readonly n: readonly number[];
}

/** A series of any length in constant memory. */
export interface Curve {
  /** Adds a value. An x that is not above the last one replaces the points from there on: a run was resumed. */
  push(x: number, y: number): void;
  columns(): CurveColumns;
}

interface Bucket {
  /** First and last x. */
  from: number;
  to: number;
  x: number;
  mean: number;
  min: number;
  max: number;
  n: number;
}

/**
 * Thins a series while it grows: neighbouring values share a bucket with their minimum, mean and maximum, so that a
 * spike stays visible. When the buckets are full, each pair becomes one.
 *
 * @param most maximum number of points, at least 2
 * @param start points of an earlier thinning that the series continues
 */
export function createCurve(most: number, start?: CurveColumns): Curve {
  let buckets = start === undefined ? [] : bucketsOf(start);
  let size = Math.max(1, ...buckets.map(({ n }) => n));
  return {
    push(x, y) {
      while (buckets.length > 0 && buckets.at(-1)!.from >= x) buckets.pop();
      const last = buckets.at(-1);
      if (last !== undefined && last.to >= x) last.to = x;
      if (last !== undefined && last.n < size) return add(last, { from: x, to: x, x, mean: y, min: y, max: y, n: 1 });
      buckets.push({ from: x, to: x, x, mean: y, min: y, max: y, n: 1 });
      if (buckets.length <= most) return;
      buckets = inPairs(buckets);
      size *= 2;
    },
    columns: () => ({
      x: buckets.map((one) => one.x),
      mean: buckets.map((one) => one.mean),
      min: buckets.map((one) => one.min),
      max: buckets.map((one) => one.max),
      n: buckets.map((one) => one.n),
    }),
  };
}

function bucketsOf({ x, mean, min, max, n }: CurveColumns): Bucket[] {
  return x.map((at, i) => ({ from: at, to: at, x: at, mean: mean[i]!, min: min[i]!, max: max[i]!, n: n[i]! }));
}

function inPairs(buckets: readonly Bucket[]): Bucket[] {
  const paired: Bucket[] = [];
  buckets.forEach((bucket, i) => {
    if (i % 2 === 0) paired.push({ ...bucket });
    else add(paired.at(-1)!, bucket);
  });
  return paired;
}

function add(to: Bucket, { to: last, x, mean, min, max, n }: Bucket): void {
  const all = to.n + n;
  to.to = Math.max(to.to, last);
  to.x += ((x - to.x) * n) / all;
  to.mean += ((mean - to.mean) * n) / all;
  to.min = Math.min(to.min, min);
  to.max = Math.max(to.max, max);
  to.n = all;
}

/**
 * Exponential moving average without the bias of the first value.
 *
 * @param weight of the past, 0 (unchanged) to below 1
 */
export function smoothed(values: readonly number[], weight: number): number[] {
  let [average, past] = [0, 1];
  return values.map((value) => {
    average = weight * average + (1 - weight) * value;
    past *= weight;
    return average / (1 - past);
  });
}
