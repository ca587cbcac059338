import { argsort } from './argsort.js';
import { mean, requirePairs } from './descriptive.js';

/**
 * Pearson's correlation (PLCC), raw: no logistic mapping. Equal to `scipy.stats.pearsonr(x, y).statistic`.
 * NaN when either side is constant or has fewer than two values.
 *
 * @param x predictions, length n
 * @param y mean opinion scores, length n
 * @throws RangeError when the lengths differ or a value is not finite
 * @example
 * ```ts
 * plcc([1, 2, 3], [10, 30, 20]); // 0.5
 * ```
 */
export function plcc(x: ArrayLike<number>, y: ArrayLike<number>): number {
  const n = requirePairs(x, y);
  // the differences of a constant list from its rounded mean are tiny instead of zero
  if (n < 2 || isConstant(x) || isConstant(y)) return Number.NaN;
  // the steps of SciPy, to get its result even if the offset is far larger than the spread and rounding matters
  const [a, b] = [unitLength(x), unitLength(y)];
  for (let i = 0; i < n; i++) a[i]! *= b[i]!;
  const r = Math.min(1, Math.max(-1, pairwiseSum(a, 0, n)));
  return n === 2 ? Math.round(r) : r;
}

/**
 * Spearman's rank correlation (SRCC): PLCC of the ranks, where ties share their mean rank. Equal to
 * `scipy.stats.spearmanr`.
 * @returns SRCC in [-1, 1], or NaN as `plcc`
 * @throws RangeError when the lengths differ or a value is not finite
 * @example
 * ```ts
 * srcc([1, 2, 3], [10, 30, 20]); // 0.5
 * ```
 */
export function srcc(x: ArrayLike<number>, y: ArrayLike<number>): number {
  requirePairs(x, y);
  return plcc(ranks(x), ranks(y));
}

/**
 * The value that the paper plots for one data set: (SRCC + PLCC) / 2.
 * @throws RangeError when the lengths differ or a value is not finite
 * @example
 * ```ts
 * meanCorrelation([1, 2, 3], [10, 30, 20]); // 0.5
 * ```
 */
export function meanCorrelation(x: ArrayLike<number>, y: ArrayLike<number>): number {
  return (srcc(x, y) + plcc(x, y)) / 2;
}

/**
 * Root of the mean squared difference (RMSE), in the units of the values; NaN for empty lists.
 * @throws RangeError when the lengths differ or a value is not finite
 * @example
 * ```ts
 * rmse([1, 2, 3], [1, 2, 5]); // 1.155
 * ```
 */
export function rmse(x: ArrayLike<number>, y: ArrayLike<number>): number {
  const n = requirePairs(x, y);
  const squares = new Float64Array(n);
  for (let i = 0; i < n; i++) squares[i] = (x[i]! - y[i]!) ** 2;
  return Math.sqrt(mean(squares));
}

/** Ranks from 1; equal values share the mean of their ranks. */
export function ranks(values: ArrayLike<number>): Float64Array {
  const n = values.length;
  const order = argsort(values);
  const result = new Float64Array(n);
  for (let start = 0; start < n;) {
    let end = start + 1;
    while (end < n && values[order[end]!] === values[order[start]!]) end++;
    for (let k = start; k < end; k++) result[order[k]!] = (start + end + 1) / 2;
    start = end;
  }
  return result;
}

/**
 * Differences from the mean, divided by the length of their vector. They are first scaled by the largest, because
 * squares of 1e200 or 1e-200 exceed the range of doubles.
 */
function unitLength(values: ArrayLike<number>): Float64Array {
  const n = values.length;
  const middle = pairwiseSum(values, 0, n) / n;
  const result = new Float64Array(n);
  let top = 0;
  for (let i = 0; i < n; i++) {
    const value = values[i]! - middle;
    result[i] = value;
    top = Math.max(top, Math.abs(value));
  }
  const squares = new Float64Array(n);
  for (let i = 0; i < n; i++) squares[i] = (result[i]! / top) ** 2;
  const length = top * Math.sqrt(pairwiseSum(squares, 0, n));
  for (let i = 0; i < n; i++) result[i]! /= length;
  return result;
}

/** The sum of `count` values in NumPy's order: eight running sums; more than 128 values are summed in halves. */
function pairwiseSum(values: ArrayLike<number>, start: number, count: number): number {
  if (count > 128) {
    const half = (count >> 1) - ((count >> 1) % 8);
    return pairwiseSum(values, start, half) + pairwiseSum(values, start + half, count - half);
  }
  const whole = count < 8 ? 0 : count - (count % 8);
  const sums = [0, 0, 0, 0, 0, 0, 0, 0];
  for (let i = 0; i < whole; i++) sums[i % 8]! += values[start + i]!;
  let sum = sums[0]! + sums[1]! + (sums[2]! + sums[3]!) + (sums[4]! + sums[5]! + (sums[6]! + sums[7]!));
  for (let i = whole; i < count; i++) sum += values[start + i]!;
  return sum;
}

function isConstant(values: ArrayLike<number>): boolean {
  for (let i = 1; i < values.length; i++) if (values[i] !== values[0]) return false;
  return true;
}
