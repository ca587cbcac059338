/**
 * ffmpeg's expression that is true for these values of `variable` and no others: a balanced tree of comparisons. Its
 * depth is log2 of the count; a sum of eq() terms breaks beyond 100 of them.
 *
 * @param keys ascending, each once, at least one
 */
export function isOneOf(variable: 'n' | 'pts', keys: readonly number[], from = 0, to = keys.length): string {
  if (to - from === 1) return `eq(${variable},${keys[from]})`;
  const middle = Math.floor((from + to) / 2);
  const [below, above] = [isOneOf(variable, keys, from, middle), isOneOf(variable, keys, middle, to)];
  return `if(lt(${variable},${keys[middle]}),${below},${above})`;
}

/** The filter that lets these pictures through, and prints the key of every decoded one at level warning. */
export function selectFilter(variable: 'n' | 'pts', keys: readonly number[]): string {
  return `select='0*print(${variable},24)+${isOneOf(variable, keys)}'`;
}

/** The key in a line that `selectFilter` made; NaN for a picture without a stamp, undefined for other lines. */
export function printedKey(line: string): number | undefined {
  const found = /^(?:\[[^\]]*\] )*(-?\d+\.\d+|-?nan)$/.exec(line);
  return found === null ? undefined : Number(found[1]);
}
