/**
 * Checks two lists that belong together, pair by pair, and gives their length.
 * @throws RangeError when the lengths differ or a value is not finite
 */
export function requirePairs(x: ArrayLike<number>, y: ArrayLike<number>): number {
  if (x.length !== y.length)
    throw new RangeError(`two lists of one length are needed; got ${x.length} and ${y.length}`);
  for (let i = 0; i < x.length; i++) {
    if (!Number.isFinite(x[i]) || !Number.isFinite(y[i]))
      throw new RangeError(`the values at position ${i} are not both finite: ${x[i]} and ${y[i]}`);
  }
  return x.length;
}
