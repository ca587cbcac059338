import { mean, quantile } from './statistics/descriptive.js';

/** How many of the lowest scores are listed. */
const WORST = 3;

/** Statistics of the scores of the frames of one clip, in the order of the frames. */
export interface CurveStatistics {
  readonly mean: number;
  /** 5th percentile with linear interpolation at (n − 1) · 0.05 of the sorted scores, the default of NumPy. */
  readonly p5: number;
  readonly min: number;
  /** Indices of the three lowest scores, the lowest first. Of equal scores, the earlier comes first. */
  readonly worst: number[];
}

/** @throws RangeError without scores */
export function curveStatistics(scores: readonly number[]): CurveStatistics {
  if (scores.length === 0) throw new RangeError('statistics of a curve need at least one score');
  const order = scores.map((_, index) => index).sort((a, b) => scores[a]! - scores[b]! || a - b);
  const sorted = Float64Array.from(order, (index) => scores[index]!);
  return { mean: mean(scores), p5: quantile(sorted, 0.05), min: sorted[0]!, worst: order.slice(0, WORST) };
}

/**
 * The frames of each question about `frames` frames: ranges [from, to) of `window` frames that begin at every frame.
 * A shorter clip has one range of all its frames.
 */
export function curveRanges(frames: number, window: number): (readonly [from: number, to: number])[] {
  return Array.from({ length: Math.max(1, frames - window + 1) }, (_, from) => [from, Math.min(frames, from + window)]);
}
