/** The mean, summed with Neumaier's correction, without which 255 000 scores lose four digits. */
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

/** The median, for an even count the upper of the two middle values; undefined for an empty list. */
export function median(values: readonly number[]): number | undefined {
  return [...values].sort((a, b) => a - b)[values.length >> 1];
}

/** A quantile of ascending values with linear interpolation, the default of NumPy. `share` is 0 to 1. */
export function quantile(sorted: Float64Array, share: number): number {
  const at = share * (sorted.length - 1);
  const low = Math.floor(at);
  const [a, b] = [sorted[low]!, sorted[Math.min(low + 1, sorted.length - 1)]!];
  return a + (b - a) * (at - low);
}

/** Mean and sample standard deviation (n − 1); null if there are too few values. */
export function meanAndDeviation(values: readonly number[]): { mean: number | null; deviation: number | null } {
  if (values.length === 0) return { mean: null, deviation: null };
  const middle = mean(values);
  const squares = values.reduce((sum, value) => sum + (value - middle) ** 2, 0);
  return { mean: middle, deviation: values.length < 2 ? null : Math.sqrt(squares / (values.length - 1)) };
}

/**
 * Checks two lists of paired values and returns their length.
 * @throws RangeError when the lengths differ or a value is not finite
 */
export function requirePairs(x: ArrayLike<number>, y: ArrayLike<number>): number {
  if (x.length !== y.length)
    throw new RangeError(`two lists of equal length are needed; got ${x.length} and ${y.length}`);
  for (let i = 0; i < x.length; i++) {
    if (!Number.isFinite(x[i]) || !Number.isFinite(y[i]))
      throw new RangeError(`the values at position ${i} are not both finite: ${x[i]} and ${y[i]}`);
  }
  return x.length;
}
