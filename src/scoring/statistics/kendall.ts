import { argsort } from './argsort.js';
import { requirePairs } from './descriptive.js';

/**
 * Kendall's tau-b (KRCC) in O(n log n): Knight (1966), "A computer method for calculating Kendall's tau with ungrouped
 * data". Equal to `scipy.stats.kendalltau(x, y).statistic`. NaN when either side is constant or has fewer than two
 * values.
 *
 * @param x predicted scores, length n
 * @param y mean opinion scores, length n
 * @returns tau-b in [-1, 1], or NaN
 * @throws RangeError when the lengths differ or a value is not finite
 * @example
 * ```ts
 * krcc([1, 2, 3], [10, 30, 20]); // 0.333
 * ```
 */
export function krcc(x: ArrayLike<number>, y: ArrayLike<number>): number {
  const n = requirePairs(x, y);
  if (n < 2) return Number.NaN;
  const order = argsort(x, argsort(y));
  const [xSorted, ySorted] = [new Float64Array(n), new Float64Array(n)];
  for (let k = 0; k < n; k++) {
    xSorted[k] = x[order[k]!]!;
    ySorted[k] = y[order[k]!]!;
  }
  return krccOfSorted(xSorted, ySorted);
}

/** Like `krcc`, for pairs sorted by x and then by y. Sorts `ySorted` in place. */
export function krccOfSorted(xSorted: Float64Array, ySorted: Float64Array): number {
  const n = xSorted.length;
  let tiesX = 0;
  let tiesBoth = 0;
  let runX = 1;
  let runBoth = 1;
  for (let i = 1; i <= n; i++) {
    const sameX = i < n && xSorted[i] === xSorted[i - 1];
    const sameBoth = sameX && ySorted[i] === ySorted[i - 1];
    if (sameBoth) runBoth++;
    else {
      tiesBoth += pairs(runBoth);
      runBoth = 1;
    }
    if (sameX) runX++;
    else {
      tiesX += pairs(runX);
      runX = 1;
    }
  }

  const discordant = sortAndCountInversions(ySorted);
  let tiesY = 0;
  let runY = 1;
  for (let i = 1; i <= n; i++) {
    if (i < n && ySorted[i] === ySorted[i - 1]) runY++;
    else {
      tiesY += pairs(runY);
      runY = 1;
    }
  }

  const total = pairs(n);
  if (tiesX === total || tiesY === total) return Number.NaN;
  const concordantMinusDiscordant = total - tiesX - tiesY + tiesBoth - 2 * discordant;
  const tau = concordantMinusDiscordant / Math.sqrt(total - tiesX) / Math.sqrt(total - tiesY);
  return Math.min(1, Math.max(-1, tau));
}

/** Number of unordered pairs among k items; exact in doubles for every n that fits in memory. */
const pairs = (k: number): number => (k * (k - 1)) / 2;

/** Bottom-up merge sort of `values` in place; returns the number of pairs in the wrong order, without ties. */
function sortAndCountInversions(values: Float64Array): number {
  const n = values.length;
  let from = values;
  let to: Float64Array = new Float64Array(n);
  let inversions = 0;
  for (let width = 1; width < n; width *= 2) {
    for (let low = 0; low < n; low += 2 * width) {
      const middle = Math.min(low + width, n);
      const high = Math.min(low + 2 * width, n);
      let left = low;
      let right = middle;
      for (let k = low; k < high; k++) {
        if (left < middle && (right >= high || from[left]! <= from[right]!)) to[k] = from[left++]!;
        else {
          inversions += middle - left;
          to[k] = from[right++]!;
        }
      }
    }
    [from, to] = [to, from];
  }
  if (from !== values) values.set(from);
  return inversions;
}
