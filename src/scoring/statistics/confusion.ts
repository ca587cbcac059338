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
