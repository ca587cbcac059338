const DIGIT = 16;
const BUCKETS = 1 << DIGIT;
/** Below this length, a comparison sort is faster than clearing the buckets. */
const SMALL = 4096;

/**
 * The positions of `values` in ascending order. Equal values, which include 0 and −0, keep the order of `start`, or of
 * their positions. A radix sort orders the bits of the doubles, 16 at a time. A million values take about 0.1 s, with a
 * comparison sort 1.5 s.
 *
 * @param values finite, length n
 * @param start a permutation of 0 … n−1 to begin with: sorting by y and then by x gives the order by (x, y)
 */
export function argsort(values: ArrayLike<number>, start?: Uint32Array): Uint32Array {
  const n = values.length;
  const order = start === undefined ? positions(n) : start.slice();
  return n < SMALL ? order.sort((a, b) => values[a]! - values[b]!) : radix(values, order);
}

/** 0, 1 … n−1. */
export function positions(n: number): Uint32Array {
  const result = new Uint32Array(n);
  for (let i = 0; i < n; i++) result[i] = i;
  return result;
}

function radix(values: ArrayLike<number>, order: Uint32Array<ArrayBufferLike>): Uint32Array {
  const n = values.length;
  const doubles = new Float64Array(1);
  const halves = new Uint32Array(doubles.buffer);
  const little = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;
  const keys = [new Uint32Array(n), new Uint32Array(n)] as const; // low half, high half
  for (let i = 0; i < n; i++) {
    doubles[0] = values[i]! + 0; // −0 + 0 is 0
    const low = halves[little ? 0 : 1]!;
    const high = halves[little ? 1 : 0]!;
    // inverts negative numbers and sets the sign bit of positive ones, so that the bits have the order of the numbers
    const negative = high >>> 31 === 1;
    keys[0][i] = negative ? ~low : low;
    keys[1][i] = negative ? ~high : high ^ 0x80000000;
  }
  let from: Uint32Array = order;
  let to: Uint32Array = new Uint32Array(n);
  for (let pass = 0; pass < 4; pass++) {
    const key = keys[pass < 2 ? 0 : 1];
    const shift = pass % 2 === 0 ? 0 : DIGIT;
    const places = new Uint32Array(BUCKETS);
    for (let i = 0; i < n; i++) places[(key[i]! >>> shift) & (BUCKETS - 1)]!++;
    if (places[(key[0]! >>> shift) & (BUCKETS - 1)] === n) continue; // all values have the same digit
    for (let digit = 0, sum = 0; digit < BUCKETS; digit++) {
      const count = places[digit]!;
      places[digit] = sum;
      sum += count;
    }
    for (let i = 0; i < n; i++) {
      const item = from[i]!;
      to[places[(key[item]! >>> shift) & (BUCKETS - 1)]!++] = item;
    }
    [from, to] = [to, from];
  }
  return from;
}
