import { normalCdf, normalPdf } from './statistics/normal.js';

/** How a MOS and its std become a distribution over levels (DeQA-Score, arXiv 2501.11561, section 3 and appendix). */
export interface SoftLabelRule {
  /** Normal density at each level's value, or the probability within half a level of it. */
  readonly density: 'pdf' | 'cdf';
  /**
   * `exact`: the label sums to one, and its mean is the MOS. `published`: the formula as published, whose sum is wrong
   * by the amount that the clip at zero removes.
   */
  readonly mode: 'exact' | 'published';
  /** Below this standard deviation, on the scale of the levels, the two nearest levels share the weight. */
  readonly minStd: number;
  /** They also share it if the mean of the label differs from the MOS by more than this. */
  readonly maxError: number;
}

export const SOFT_LABEL_RULE: SoftLabelRule = { density: 'pdf', mode: 'exact', minStd: 0.2, maxError: 0.1 };

/**
 * Level probabilities, best level first. Level values are K … 1 for K levels (5 … 1), and MOS and std are scaled with
 * them: mos′ = (K−1)(mos−lo)/(hi−lo)+1, std′ = (K−1)·std/(hi−lo).
 *
 * @param range lowest and highest MOS of the data set, all rows
 * @throws RangeError for a MOS outside the range or a negative or non-finite std
 */
export function softLabel(
  mos: number,
  std: number,
  range: { min: number; max: number },
  levels = 5,
  rule: SoftLabelRule = SOFT_LABEL_RULE,
): number[] {
  if (!(mos >= range.min && mos <= range.max))
    throw new RangeError(`the MOS ${mos} is outside [${range.min}, ${range.max}]`);
  if (!(std >= 0 && std < Infinity))
    throw new RangeError(`the standard deviation ${std} is not a number of at least 0`);
  const span = range.max - range.min;
  const target = Math.min(levels, Math.max(1, ((levels - 1) * (mos - range.min)) / span + 1));
  const width = ((levels - 1) * std) / span;
  if (width < rule.minStd) return between(target, levels, rule.mode);
  if (rule.mode === 'exact') return exactLabel(target, width, levels, rule);
  const probs = corrected(rawLabel(target, width, levels, rule.density), target, 1e-9);
  return Math.abs(meanOf(probs) - target) > rule.maxError ? between(target, levels, 'published') : probs;
}

/**
 * At the middle level, the correction is 0/0. There, the label is a mixture of the labels a millionth below and above,
 * which is the limit.
 */
function exactLabel(target: number, width: number, levels: number, rule: SoftLabelRule): number[] {
  const middle = (levels + 1) / 2;
  const near = 1e-6;
  if (Math.abs(target - middle) < near * (1 - 1e-6)) {
    const share = (target - middle + near) / (2 * near);
    const [below, above] = [
      exactLabel(middle - near, width, levels, rule),
      exactLabel(middle + near, width, levels, rule),
    ];
    return below.map((p, i) => (1 - share) * p + share * above[i]!);
  }
  const raw = rawLabel(target, width, levels, rule.density);
  if (Math.abs(meanOf(corrected(raw, target, 0)) - target) > rule.maxError) return between(target, levels, 'exact');
  return exact(raw, target);
}

/** Density at every level's value, best first, before any correction. */
export function rawLabel(target: number, width: number, levels: number, density: 'pdf' | 'cdf'): number[] {
  const raw: number[] = [];
  for (let value = levels; value >= 1; value--)
    raw.push(
      density === 'pdf'
        ? normalPdf(value, target, width)
        : normalCdf(value + 0.5, target, width) - normalCdf(value - 0.5, target, width),
    );
  return raw;
}

/**
 * The published correction: p ← max(αp+β, 0), α = (mos′−c)/(Σvp−cΣp+slack), β = (1−αΣp)/K. c is the middle level; the
 * published slack is 1e-9.
 */
function corrected(raw: readonly number[], target: number, slack: number): number[] {
  const middle = (raw.length + 1) / 2;
  const sum = total(raw);
  const alpha = (target - middle) / (meanOf(raw) - middle * sum + slack);
  const beta = (1 - alpha * sum) / raw.length;
  return raw.map((p) => Math.max(alpha * p + beta, 0));
}

/**
 * The correction with both Σp = 1 and Σvp = mos′. Solves for α and β over the levels that stay positive, again after
 * each clip. If fewer than three levels are left, or no line fits, the two nearest levels share the weight.
 */
function exact(raw: readonly number[], target: number): number[] {
  const levels = raw.length;
  const inside = new Array<boolean>(levels).fill(true);
  for (let n = levels; n > 2;) {
    let [sum, values, weighted] = [0, 0, 0];
    for (let i = 0; i < levels; i++) {
      if (!inside[i]) continue;
      sum += raw[i]!;
      values += levels - i;
      weighted += (levels - i) * raw[i]!;
    }
    const determinant = weighted - (values / n) * sum;
    // p is symmetric about the middle of its support: any α gives the same mean, and 1/Σp keeps the shape
    const even = Math.abs(determinant) < 1e-9 * sum;
    if (even && Math.abs(target - values / n) > 1e-9) break;
    const alpha = even ? 1 / sum : (target - values / n) / determinant;
    if (!(alpha > 0 && Number.isFinite(alpha))) break;
    const beta = (1 - alpha * sum) / n;
    const before = n;
    for (let i = 0; i < levels; i++) {
      if (inside[i] && !(alpha * raw[i]! + beta > 0)) {
        inside[i] = false;
        n--;
      }
    }
    if (n === before) return raw.map((p, i) => (inside[i] ? alpha * p + beta : 0));
  }
  return between(target, levels, 'exact');
}

/**
 * Linear interpolation between the two nearest levels. The published code widens each interval by 1e-8 at both ends.
 */
function between(target: number, levels: number, mode: 'exact' | 'published'): number[] {
  const slack = mode === 'published' ? 1e-8 : 0;
  let low = 1;
  while (low < levels - 1 && target > low + 1 + slack) low++;
  const share = (target - low + slack) / (1 + 2 * slack);
  return Array.from({ length: levels }, (_, index) =>
    levels - index === low + 1 ? share : levels - index === low ? 1 - share : 0,
  );
}

/** Σ p·v with the values K … 1: the MOS that a soft label represents, on the scale of the levels. */
export function meanOf(probs: readonly number[]): number {
  let sum = 0;
  for (let i = 0; i < probs.length; i++) sum += probs[i]! * (probs.length - i);
  return sum;
}

function total(values: readonly number[]): number {
  let sum = 0;
  for (const value of values) sum += value;
  return sum;
}
