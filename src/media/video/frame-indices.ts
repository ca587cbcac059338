/** An exact rate in pictures per second. */
export interface Rational {
  readonly numerator: number;
  readonly denominator: number;
}

/** The pictures that the reference selects. Picture i has the index `indexAt(i)`, possibly repeated. */
export interface Sampling {
  readonly count: number;
  readonly indexAt: (i: number) => number;
}

/**
 * Selects pictures as the reference does: int(fps·i) for i < int(packets/fps), computed in doubles (Q-Align's loader
 * with decord's average rate). With `perSecond` other than 1, the index is int(fps/perSecond·i) in exact arithmetic.
 *
 * @param rate average rate of the clip
 * @param packets number of pictures in the clip
 * @throws RangeError if `perSecond` ≤ 0
 */
export function sampling(rate: Rational, packets: number, perSecond = 1): Sampling {
  const { numerator: a, denominator: b } = samplingRate(rate, perSecond);
  if (perSecond !== 1) return { count: floorOf(packets, b, a), indexAt: (i) => floorOf(i, a, b) };
  const step = a / b;
  return { count: Math.trunc(packets / step), indexAt: (i) => Math.trunc(step * i) };
}

/** Returns `most` of `count` positions, evenly spaced: floor(i·count/most). Returns all if `count` ≤ `most`. */
export function evenIndices(count: number, most: number = count): number[] {
  const kept = Math.min(count, most);
  return Array.from({ length: kept }, (_, i) => Math.floor((i * count) / kept));
}

/** Pictures of a clip that the rule `eight` takes if the caller names no number. */
export const EIGHT = 8;

/**
 * Returns `most` of `count` positions from the first to the last: round(i · (count − 1) / (most − 1)), where a half
 * goes to the even neighbour. Short clips repeat pictures.
 */
export function spreadIndices(count: number, most: number): number[] {
  if (most === 1) return [0];
  const [last, steps] = [count - 1, most - 1];
  return Array.from({ length: most }, (_, i) => {
    const [low, twice] = [floorOf(i, last, steps), 2 * ((i * last) % steps)];
    return twice > steps || (twice === steps && low % 2 === 1) ? low + 1 : low;
  });
}

/**
 * Divides the rate of the clip by the wanted pictures per second. With `perSecond` 0.5, a 30 fps clip gives one picture
 * in 60. @throws RangeError if `perSecond` ≤ 0
 */
export function samplingRate(rate: Rational, perSecond: number): Rational {
  if (!(perSecond > 0) || !Number.isFinite(perSecond))
    throw new RangeError(`fps must be a positive number, got ${perSecond}`);
  if (perSecond === 1) return rate; // unchanged, so that the doubles equal those of the reference
  const wanted = simplest(perSecond);
  const numerator = BigInt(rate.numerator) * BigInt(wanted.denominator);
  const denominator = BigInt(rate.denominator) * BigInt(wanted.numerator);
  const divisor = gcd(numerator, denominator);
  return { numerator: Number(numerator / divisor), denominator: Number(denominator / divisor) };
}

/** Parses `30000/1001`. Returns undefined for an invalid rate such as `0/0`. */
export function parseRate(text: string | undefined): Rational | undefined {
  const [numerator, denominator] = (text ?? '').split('/').map(Number);
  if (numerator === undefined || denominator === undefined || !(numerator > 0) || !(denominator > 0)) return undefined;
  return { numerator, denominator };
}

/** Returns the simplest fraction within 1e-12 of a number, by continued fractions: 0.7 → 7/10, 0.333333333333 → 1/3. */
function simplest(value: number): Rational {
  let [p, q, previousP, previousQ] = [Math.floor(value), 1, 1, 0];
  let rest = value - p;
  while (Math.abs(p / q - value) > value * 1e-12) {
    const term = Math.floor(1 / rest);
    rest = 1 / rest - term;
    [p, q, previousP, previousQ] = [term * p + previousP, term * q + previousQ, p, q];
  }
  return { numerator: p, denominator: q };
}

/** Returns floor(i·a/b) exactly. i, a and b are non-negative integers. */
export function floorOf(i: number, a: number, b: number): number {
  const product = i * a;
  return Number.isSafeInteger(product) ? (product - (product % b)) / b : Number((BigInt(i) * BigInt(a)) / BigInt(b));
}

function gcd(a: bigint, b: bigint): bigint {
  return b === 0n ? a : gcd(b, a % b);
}
