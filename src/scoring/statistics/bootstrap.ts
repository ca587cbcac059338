import { argsort, positions } from './argsort.js';
import { mean, quantile } from './descriptive.js';
import { krcc, krccOfSorted } from './kendall.js';
import { sfc32 } from '../../base/random.js';

/** The data to resample: n predictions with their MOS, and their groups. */
export interface Sample {
  readonly scores: ArrayLike<number>;
  readonly mos: ArrayLike<number>;
  /** The scores after the logistic mapping, in units of the MOS. */
  readonly mapped?: ArrayLike<number> | undefined;
  /** For each item 1 if its level is correct, else 0. */
  readonly correct?: ArrayLike<number> | undefined;
  /** Group of every item, 0 … groupCount−1: distorted versions of one source image are drawn together. */
  readonly groups?: Uint32Array | undefined;
  readonly groupCount?: number | undefined;
}

export const RESAMPLED = [
  'srcc',
  'plcc',
  'plcc_logistic',
  'krcc',
  'rmse',
  'mean_correlation',
  'level_accuracy',
] as const;
export type Resampled = (typeof RESAMPLED)[number];
/** One value per replicate; NaN if the replicate has none because all its items are equal. */
export type Replicates = Readonly<Record<Resampled, Float64Array>>;

const REPLICATES = 1000;
/**
 * With more items, only a random part of the groups is resampled. The deviations from the part's own value are scaled
 * by √(part) and added to the value of all items. The width of an interval then has an error of 1/√(2·10 000), 0.7 per
 * cent, a fifth of the error of 1000 replicates. A replicate of KRCC costs n log n. The spread comes from the groups. A
 * part therefore has at least a thousand groups (all if there are fewer) and some items of each. This makes intervals
 * slightly wider, never narrower.
 */
const MAX_ITEMS = 10_000;
const MAX_ITEMS_KRCC = 2_000;
const LEAST_GROUPS = 1_000;

/**
 * The bootstrap by source image. Draws groups with replacement, as many as there are, and computes every statistic
 * again. The logistic mapping stays fixed, because fitting it again is slow and changes the intervals little.
 * The draws depend only on the seed and the groups, so that two models on the same items get the same draws.
 *
 * @param full the statistics of all items, which are the centre of the replicates of a part
 */
export function bootstrap(
  sample: Sample,
  full: Readonly<Partial<Record<Resampled, number>>>,
  { replicates = REPLICATES, seed = 0 }: { replicates?: number; seed?: number } = {},
): Replicates {
  const result = Object.fromEntries(
    RESAMPLED.map((name) => [name, new Float64Array(replicates).fill(Number.NaN)]),
  ) as Record<Resampled, Float64Array>;
  const part = takePart(sample, MAX_ITEMS, seed);
  const layout = layOut(part);
  const random = sfc32(seed);
  const weights = new Uint8Array(part.groupCount).fill(1);
  const own = statistics(layout, weights);
  const names = RESAMPLED.filter((name) => full[name] !== undefined && name !== 'krcc');
  for (let b = 0; b < replicates; b++) {
    draw(weights, random);
    const drawn = statistics(layout, weights);
    for (const name of names)
      result[name][b] =
        part.share === 1 ? drawn[name] : full[name]! + Math.sqrt(part.share) * (drawn[name] - own[name]);
  }
  if (full.krcc !== undefined) krccReplicates(sample, full.krcc, seed, result.krcc);
  return result;
}

/** The middle 95 % of the replicates; undefined if fewer than 90 % have a value. */
export function interval95(values: Float64Array): readonly [low: number, high: number] | undefined {
  const sorted = values.filter((value) => !Number.isNaN(value)).sort();
  if (sorted.length === 0 || sorted.length < 0.9 * values.length) return undefined;
  return [quantile(sorted, 0.025), quantile(sorted, 0.975)];
}

type Part = Sample & { readonly groups: Uint32Array; readonly groupCount: number; readonly share: number };

/**
 * The data in the order of the scores, so that the inner loops read memory sequentially. Arrays in the order of the MOS
 * have the positions of their items in the order of the scores.
 */
interface Layout {
  readonly n: number;
  readonly groupX: Uint32Array;
  readonly groupY: Uint32Array;
  /** 1 if item k (in its order) is the last of a run of equal values, else 0. */
  readonly endX: Uint8Array;
  readonly endY: Uint8Array;
  /** Position, in the order of the scores, of the k-th item by MOS. */
  readonly placeOfY: Uint32Array;
  readonly rankY: Float64Array;
  readonly x: Float64Array;
  readonly y: Float64Array;
  readonly mapped: Float64Array;
  readonly squared: Float64Array;
  readonly correct: Float64Array;
}

function layOut({ scores, mos, mapped, correct, groups }: Part): Layout {
  const n = scores.length;
  const [byScore, byMos] = [argsort(scores), argsort(mos)];
  const place = new Uint32Array(n);
  byScore.forEach((item, k) => (place[item] = k));
  return {
    n,
    groupX: takeInts(groups, byScore),
    groupY: takeInts(groups, byMos),
    endX: runEnds(scores, byScore),
    endY: runEnds(mos, byMos),
    placeOfY: takeInts(place, byMos),
    rankY: new Float64Array(n),
    x: centred(scores, byScore),
    y: centred(mos, byScore),
    mapped: mapped === undefined ? new Float64Array(n) : centred(mapped, byScore),
    squared: each(byScore, (item) => (mapped === undefined ? 0 : (mapped[item]! - mos[item]!) ** 2)),
    correct: each(byScore, (item) => correct?.[item] ?? 0),
  };
}

/** Takes some items (all if there are few) of a random part of the groups, and renumbers the groups. */
function takePart(sample: Sample, most: number, seed: number): Part {
  const n = sample.scores.length;
  const groupCount = sample.groupCount ?? n;
  const groups = sample.groups ?? positions(n);
  const maxItems = groupCount < n ? MAX_ITEMS : most;
  if (n <= maxItems) return { ...sample, groups, groupCount, share: 1 };
  const random = sfc32(seed ^ 0x5eed);
  const numbers = new Int32Array(groupCount).fill(-1);
  const groupShare = Math.min(1, Math.max(maxItems / n, LEAST_GROUPS / groupCount));
  const [groupLimit, itemLimit] = [groupShare * 2 ** 32, Math.min(1, maxItems / (n * groupShare)) * 2 ** 32];
  let kept = 0;
  for (let group = 0; group < groupCount; group++) if (random() < groupLimit) numbers[group] = kept++;
  const items = positions(n).filter((item) => numbers[groups[item]!]! >= 0 && random() < itemLimit);
  return {
    scores: each(items, (item) => sample.scores[item]!),
    mos: each(items, (item) => sample.mos[item]!),
    mapped: sample.mapped === undefined ? undefined : each(items, (item) => sample.mapped![item]!),
    correct: sample.correct === undefined ? undefined : each(items, (item) => sample.correct![item]!),
    groups: Uint32Array.from(items, (item) => numbers[groups[item]!]!),
    groupCount: kept,
    share: kept / groupCount,
  };
}

// plain loops, because `from` with a function uses an iterator: ten times slower for a million items
function each(order: Uint32Array, value: (item: number) => number): Float64Array {
  const result = new Float64Array(order.length);
  for (let k = 0; k < result.length; k++) result[k] = value(order[k]!);
  return result;
}

function takeInts(values: Uint32Array, order: Uint32Array): Uint32Array {
  const result = new Uint32Array(order.length);
  for (let k = 0; k < result.length; k++) result[k] = values[order[k]!]!;
  return result;
}

function centred(values: ArrayLike<number>, order: Uint32Array): Float64Array {
  const middle = mean(values);
  return each(order, (item) => values[item]! - middle);
}

function runEnds(values: ArrayLike<number>, order: Uint32Array): Uint8Array {
  const result = new Uint8Array(order.length).fill(1);
  for (let k = 0; k + 1 < result.length; k++) if (values[order[k + 1]!] === values[order[k]!]) result[k] = 0;
  return result;
}

/**
 * Counts how often each group is drawn. A byte is enough: a count of 256 needs at least 256 groups, and then has a
 * probability of 1/256!.
 */
function draw(weights: Uint8Array, random: () => number): void {
  const count = weights.length;
  const scale = count / 2 ** 32;
  weights.fill(0);
  for (let i = 0; i < count; i++) weights[Math.floor(random() * scale)]!++;
}

/** Mean ranks of the MOS with weights: an item drawn w times counts as w equal items. */
function rankMos({ n, groupY, endY, placeOfY, rankY: ranks }: Layout, weights: Uint8Array): void {
  let before = 0;
  let run = 0;
  let first = 0;
  for (let k = 0; k < n; k++) {
    run += weights[groupY[k]!]!;
    if (endY[k] === 0) continue;
    const rank = before + (run + 1) / 2;
    for (; first <= k; first++) ranks[placeOfY[first]!] = rank;
    before += run;
    run = 0;
  }
}

/** Every statistic except KRCC. Each item counts as often as its group was drawn. */
function statistics(layout: Layout, weights: Uint8Array): Record<Resampled, number> {
  rankMos(layout, weights);
  const { n, groupX, endX, rankY: ranks, x, y, mapped, squared, correct } = layout;
  let total = 0;
  for (let k = 0; k < n; k++) total += weights[groupX[k]!]!;
  const middle = (total + 1) / 2;
  let [before, run, runY, rr, ss, rs] = [0, 0, 0, 0, 0, 0];
  let [sx, sy, sf, sxx, syy, sff, sxy, sfy, errors, right] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
  for (let k = 0; k < n; k++) {
    const w = weights[groupX[k]!]!;
    const rank = ranks[k]! - middle;
    run += w;
    runY += w * rank;
    ss += w * rank * rank;
    const xk = x[k]!;
    const yk = y[k]!;
    const fk = mapped[k]!;
    sx += w * xk;
    sy += w * yk;
    sf += w * fk;
    sxx += w * xk * xk;
    syy += w * yk * yk;
    sff += w * fk * fk;
    sxy += w * xk * yk;
    sfy += w * fk * yk;
    errors += w * squared[k]!;
    right += w * correct[k]!;
    if (endX[k] === 0) continue;
    const rankX = before + (run + 1) / 2 - middle;
    rr += run * rankX * rankX;
    rs += rankX * runY;
    before += run;
    run = 0;
    runY = 0;
  }
  const correlation = (ab: number, aa: number, bb: number): number =>
    aa > 0 && bb > 0 ? Math.min(1, Math.max(-1, ab / Math.sqrt(aa) / Math.sqrt(bb))) : Number.NaN;
  const covariance = (ab: number, a: number, b: number): number => ab - (a * b) / total;
  // a variance this small is a rounding error of equal values
  const spread = (aa: number, a: number): number => (covariance(aa, a, a) > 1e-13 * aa ? covariance(aa, a, a) : 0);
  const srcc = correlation(rs, rr, ss);
  const plcc = correlation(covariance(sxy, sx, sy), spread(sxx, sx), spread(syy, sy));
  return {
    srcc,
    plcc,
    plcc_logistic: correlation(covariance(sfy, sf, sy), spread(sff, sf), spread(syy, sy)),
    krcc: Number.NaN,
    rmse: Math.sqrt(errors / total),
    mean_correlation: (srcc + plcc) / 2,
    level_accuracy: right / total,
  };
}

function krccReplicates(sample: Sample, full: number, seed: number, result: Float64Array): void {
  const part = takePart(sample, MAX_ITEMS_KRCC, seed);
  const { scores, mos, groups } = part;
  const own = krcc(scores, mos);
  const order = argsort(scores, argsort(mos));
  const random = sfc32(seed);
  const weights = new Uint8Array(part.groupCount);
  for (let b = 0; b < result.length; b++) {
    draw(weights, random);
    let n = 0;
    for (const item of order) n += weights[groups[item]!]!;
    const [x, y] = [new Float64Array(n), new Float64Array(n)];
    let at = 0;
    for (const item of order) {
      for (let times = weights[groups[item]!]!; times > 0; times--) {
        x[at] = scores[item]!;
        y[at++] = mos[item]!;
      }
    }
    const drawn = krccOfSorted(x, y);
    result[b] = part.share === 1 ? drawn : full + Math.sqrt(part.share) * (drawn - own);
  }
}
