import { LEVELS } from './levels.js';

/** How scores become levels (Q-Align, section 3.2.1). `m` and `M` below are the ends of the range. */
export interface LevelRule {
  /** Level names, best first. */
  readonly names: readonly string[];
  /**
   * `trimmed`: a thousandth of the rows is cut at each end, as the authors did; `minmax`: Eq. 1; or two numbers, in the
   * units of the scores.
   */
  readonly range: 'trimmed' | 'minmax' | readonly [lo: number, hi: number];
  /**
   * Whether a score on the edge between two levels belongs to the upper level, whose lower edge it is, or to the lower
   * level.
   */
  readonly edge: 'lower' | 'upper';
  readonly outside: 'drop' | 'clip';
  /**
   * `half_open`: the far end (M with `lower`, m with `upper`) is outside, as in the authors' code. `closed`: both ends
   * are inside. With `minmax`, the ends are the best and the worst score and are always inside.
   */
  readonly ends: 'half_open' | 'closed';
}

/** The rule of the authors' files, except that videos use `outside: 'clip'` and some sets have explicit ranges. */
export const OFFICIAL_RULE: LevelRule = {
  names: LEVELS,
  range: 'trimmed',
  edge: 'lower',
  outside: 'drop',
  ends: 'half_open',
};
/** Eq. 1 of the paper. */
export const PAPER_RULE: LevelRule = { names: LEVELS, range: 'minmax', edge: 'upper', outside: 'clip', ends: 'closed' };

export interface ScoreRange {
  readonly min: number;
  readonly max: number;
}

/**
 * The range of scores under a rule. The scores are finite and in any order, in a typed array because there can be
 * millions. Trimmed: v = sorted scores, k = floor(n / 1000), m = v[k], M = v[n − k]; M = v[n − 1] if k is 0.
 * @throws RangeError if there are no scores or the range is empty
 */
export function scoreRange(scores: Float64Array, range: LevelRule['range']): ScoreRange {
  if (typeof range !== 'string') return ordered(range[0], range[1]);
  if (scores.length === 0) throw new RangeError('there are no scores to take a range from');
  const sorted = Float64Array.from(scores).sort();
  const n = sorted.length;
  const k = range === 'trimmed' ? Math.floor(n / 1000) : 0;
  return ordered(sorted[k]!, sorted[k === 0 ? n - 1 : n - k]!);
}

function ordered(min: number, max: number): ScoreRange {
  if (!(min < max) || !Number.isFinite(max - min))
    throw new RangeError(`the range [${min}, ${max}] is empty or not finite`);
  return { min, max };
}

/**
 * Score → index into `rule.names` (0 = best), or undefined if the rule drops the score. Compares in doubles as the
 * authors do: m + i·step ≤ s.
 */
export function levelFinder(rule: LevelRule, { min, max }: ScoreRange): (score: number) => number | undefined {
  const count = rule.names.length;
  if (count < 2) throw new RangeError(`at least two levels are needed, not ${count}`);
  const step = (max - min) / count;
  const edges = Float64Array.from({ length: count }, (_, i) => min + i * step);
  const last = count - 1;
  const inside = insideTest(rule, min, max);
  const rank =
    rule.edge === 'lower'
      ? (score: number) => above(edges, (edge) => edge <= score)
      : (score: number) => above(edges, (edge) => edge < score);
  return (score) => {
    if (rule.outside === 'drop' && !inside(score)) return undefined;
    return last - Math.min(last, Math.max(0, rank(score)));
  };
}

/** The number of inner edges that a score has passed, which is the level counted from the worst. */
function above(edges: Float64Array, passed: (edge: number) => boolean): number {
  let level = 0;
  while (level + 1 < edges.length && passed(edges[level + 1]!)) level++;
  return level;
}

function insideTest(rule: LevelRule, min: number, max: number): (score: number) => boolean {
  if (rule.ends === 'closed' || rule.range === 'minmax') {
    // an inverted DMOS at the end of its scale can exceed the other end by the rounding error of two sums
    const rounding = 2 * Number.EPSILON * (Math.abs(min) + Math.abs(max));
    return (score) => score >= min - rounding && score <= max + rounding;
  }
  return rule.edge === 'lower' ? (score) => score >= min && score < max : (score) => score > min && score <= max;
}

/** The value of a level for correlations: the number of levels for the best, 1 for the worst. */
export function levelValue(index: number, count: number): number {
  return count - index;
}

/**
 * Distance of a score to the nearest edge between two levels, as a fraction of the width of a level. 0 is on the edge,
 * 0.5 is in the middle.
 */
export function edgeDistance(score: number, { min, max }: ScoreRange, count: number): number {
  const position = ((score - min) / (max - min)) * count;
  const nearest = Math.min(count - 1, Math.max(1, Math.round(position)));
  return Math.abs(position - nearest);
}
