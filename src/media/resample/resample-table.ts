/**
 * The weights of Pillow's 8-bit bicubic resize, in the 22-bit fixed-point format of its sums. Source:
 * docs/facts.md#bicubic. Tested against test/fixtures/golden/pixels.
 */

/** Fraction bits of a weight. Of 32 bits, Pillow uses 8 for the pixel and 2 for the overshoot of the cubic. */
const WEIGHT_BITS = 22;

/**
 * One dimension of a resize. Output i uses input `first[i]` … `first[i] + count[i] − 1`, with `weights` from `start[i]`
 * on.
 */
export interface ResampleTable {
  readonly first: Int32Array;
  readonly count: Int32Array;
  readonly start: Int32Array;
  readonly weights: Int32Array;
}

/** Keys' cubic with a = −0.5. */
function cubic(x: number): number {
  const a = -0.5;
  const t = Math.abs(x);
  if (t < 1) return ((a + 2) * t - (a + 3)) * t * t + 1;
  if (t < 2) return (((t - 5) * t + 8) * t - 4) * a;
  return 0;
}

/** Makes the table for resizing `from` samples to `to` samples, both at least 1. */
export function makeTable(from: number, to: number): ResampleTable {
  const scale = from / to;
  const filterScale = Math.max(scale, 1);
  const support = 2 * filterScale;
  const inverse = 1 / filterScale;
  const longest = Math.ceil(support) * 2 + 1;
  const first = new Int32Array(to);
  const count = new Int32Array(to);
  const start = new Int32Array(to);
  const weights = new Int32Array(to * longest);
  const row = new Float64Array(longest);
  let at = 0;
  for (let i = 0; i < to; i++) {
    const centre = (i + 0.5) * scale;
    const low = Math.max(0, Math.trunc(centre - support + 0.5));
    const high = Math.min(from, Math.trunc(centre + support + 0.5));
    const n = high - low;
    let sum = 0;
    for (let k = 0; k < n; k++) {
      const weight = cubic((k + low - centre + 0.5) * inverse);
      row[k] = weight;
      sum += weight;
    }
    first[i] = low;
    count[i] = n;
    start[i] = at;
    for (let k = 0; k < n; k++) {
      const weight = sum === 0 ? (row[k] ?? 0) : (row[k] ?? 0) / sum;
      weights[at++] = Math.trunc(weight * 2 ** WEIGHT_BITS + (weight < 0 ? -0.5 : 0.5));
    }
  }
  return { first, count, start, weights: weights.slice(0, at) };
}

/**
 * The table restricted to the part of the padded square that the picture covers. Inputs `offset` … `offset + length −
 * 1` stay, renumbered from 0. All other inputs are padding of one colour, so only the sum of their weights is kept.
 */
export interface CutTable extends ResampleTable {
  readonly padding: Int32Array;
}

/** Restricts `table` to `length` inputs from `offset` on. */
export function cutTable(table: ResampleTable, offset: number, length: number): CutTable {
  const to = table.first.length;
  const first = new Int32Array(to);
  const count = new Int32Array(to);
  const start = new Int32Array(to);
  const padding = new Int32Array(to);
  for (let i = 0; i < to; i++) {
    const low = table.first[i] ?? 0;
    const high = low + (table.count[i] ?? 0);
    const begin = table.start[i] ?? 0;
    const from = Math.min(Math.max(low, offset), high);
    const end = Math.max(Math.min(high, offset + length), from);
    let outside = 0;
    for (let k = low; k < high; k++) if (k < from || k >= end) outside += table.weights[begin + k - low] ?? 0;
    first[i] = end > from ? from - offset : 0;
    count[i] = end - from;
    start[i] = begin + from - low;
    padding[i] = outside;
  }
  return { first, count, start, padding, weights: table.weights };
}
