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
   * `half_open`: the far end itself (M with `lower`, m with `upper`) is outside, as in the authors' code, which cuts
   * there; `closed`: both ends are inside. With `minmax` they are the best and the worst score, and always inside.
   */
  readonly ends: 'half_open' | 'closed';
}

/** What the authors' files were made with, but for the `outside` rule of videos (clip) and explicit ranges. */
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
 * The range a rule takes from some scores (any order, finite; typed so that millions fit).
 * Trimmed: v = sorted scores, k = floor(n / 1000), m = v[k], M = v[n − k]; M = v[n − 1] where k is 0.
 * @throws RangeError when there are no scores or the range is empty
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
 * Score → index into `rule.names` (0 = best), or undefined where the rule drops it. Compares in doubles as the authors
 * do: m + i·step ≤ s.
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

/** How many of the inner edges a score has passed: the level counted from the worst. */
function above(edges: Float64Array, passed: (edge: number) => boolean): number {
  let level = 0;
  while (level + 1 < edges.length && passed(edges[level + 1]!)) level++;
  return level;
}

function insideTest(rule: LevelRule, min: number, max: number): (score: number) => boolean {
  if (rule.ends === 'closed' || rule.range === 'minmax') {
    // a DMOS at the end of its scale, inverted, may lie beyond the other end by the rounding of two sums
    const rounding = 2 * Number.EPSILON * (Math.abs(min) + Math.abs(max));
    return (score) => score >= min - rounding && score <= max + rounding;
  }
  return rule.edge === 'lower' ? (score) => score >= min && score < max : (score) => score > min && score <= max;
}

/** What a level is worth for correlations: the best is the number of levels, the worst is 1. */
export function levelValue(index: number, count: number): number {
  return count - index;
}

/**
 * Distance of a score to the nearest edge between two levels, in parts of a level's width: 0 is on the edge, 0.5 the
 * middle.
 */
export function edgeDistance(score: number, { min, max }: ScoreRange, count: number): number {
  const position = ((score - min) / (max - min)) * count;
  const nearest = Math.min(count - 1, Math.max(1, Math.round(position)));
  return Math.abs(position - nearest);
}
