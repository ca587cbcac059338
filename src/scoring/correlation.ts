import { argsort } from './argsort.js';
import { requirePairs } from './pairs.js';

/**
 * Pearson's correlation (PLCC), raw: no logistic mapping. Equal to `scipy.stats.pearsonr(x, y).statistic`.
 * NaN when either side is constant or has fewer than two values.
 *
 * @param x predictions, length n
 * @param y mean opinion scores, length n
 * @throws RangeError when the lengths differ or a value is not finite
 */
export function plcc(x: ArrayLike<number>, y: ArrayLike<number>): number {
  const n = requirePairs(x, y);
  // a constant list whose mean is rounded leaves dust instead of zero
  if (n < 2 || isConstant(x) || isConstant(y)) return Number.NaN;
  const [a, b] = [centred(x), centred(y)];
  let xx = 0;
  let yy = 0;
  let xy = 0;
  for (let i = 0; i < n; i++) {
    xx += a[i]! * a[i]!;
    yy += b[i]! * b[i]!;
    xy += a[i]! * b[i]!;
  }
  return Math.min(1, Math.max(-1, xy / Math.sqrt(xx) / Math.sqrt(yy)));
}

/** Spearman's rank correlation (SRCC): PLCC of the ranks, ties sharing their mean rank. Equal to `scipy.stats.spearmanr`. */
export function srcc(x: ArrayLike<number>, y: ArrayLike<number>): number {
  requirePairs(x, y);
  return plcc(ranks(x), ranks(y));
}

/** What the paper plots for one data set: (SRCC + PLCC) / 2. */
export function meanCorrelation(x: ArrayLike<number>, y: ArrayLike<number>): number {
  return (srcc(x, y) + plcc(x, y)) / 2;
}

/** Root of the mean squared difference (RMSE), in the units of the values; NaN for empty lists. */
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
  for (let start = 0; start < n; ) {
    let end = start + 1;
    while (end < n && values[order[end]!] === values[order[start]!]) end++;
    for (let k = start; k < end; k++) result[order[k]!] = (start + end + 1) / 2;
    start = end;
  }
  return result;
}

/** The mean, summed with Neumaier's correction: 255 000 scores would lose four digits otherwise. */
export function mean(values: ArrayLike<number>): number {
  let sum = 0;
  let lost = 0;
  for (let i = 0; i < values.length; i++) {
    const value = values[i]!;
    const next = sum + value;
    lost += Math.abs(sum) >= Math.abs(value) ? sum - next + value : value - next + sum;
    sum = next;
  }
  return (sum + lost) / values.length;
}

/** Differences from the mean, in parts of the largest: squares of 1e200 or 1e-200 would leave the doubles. */
function centred(values: ArrayLike<number>): Float64Array {
  const middle = mean(values);
  const result = new Float64Array(values.length);
  let top = 0;
  for (let i = 0; i < result.length; i++) {
    const value = values[i]! - middle;
    result[i] = value;
    top = Math.max(top, Math.abs(value));
  }
  for (let i = 0; i < result.length; i++) result[i] = result[i]! / top;
  return result;
}

function isConstant(values: ArrayLike<number>): boolean {
  for (let i = 1; i < values.length; i++) if (values[i] !== values[0]) return false;
  return true;
}
