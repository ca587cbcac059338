/**
 * Returns an ffmpeg expression that is true only if `variable` is one of `keys`. It is a balanced tree of comparisons
 * with a depth of log2 of the count. A sum of eq() terms fails above 100 terms.
 *
 * @param keys ascending, distinct, at least one
 */
export function isOneOf(variable: 'n' | 'pts', keys: readonly number[], from = 0, to = keys.length): string {
  if (to - from === 1) return `eq(${variable},${keys[from]})`;
  const middle = Math.floor((from + to) / 2);
  const [below, above] = [isOneOf(variable, keys, from, middle), isOneOf(variable, keys, middle, to)];
  return `if(lt(${variable},${keys[middle]}),${below},${above})`;
}

/** Returns the filter that selects these pictures and prints the key of every decoded picture at level warning. */
export function selectFilter(variable: 'n' | 'pts', keys: readonly number[]): string {
  return `select='0*print(${variable},24)+${isOneOf(variable, keys)}'`;
}

/**
 * Parses a line that `selectFilter` printed. Returns NaN for a picture without a time stamp, undefined for other lines.
 */
export function printedKey(line: string): number | undefined {
  const found = /^(?:\[[^\]]*\] )*(-?\d+\.\d+|-?nan)$/.exec(line);
  return found === null ? undefined : Number(found[1]);
}
