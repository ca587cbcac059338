import { requirePairs } from './statistics/descriptive.js';

/** Items of one interval of confidence; the means of an empty interval are 0. */
export interface LevelReliabilityBin {
  readonly from: number;
  readonly to: number;
  readonly n: number;
  /** Mean confidence, 0 to 1. */
  readonly confidence: number;
  /** Share of the items whose level is correct, 0 to 1. */
  readonly accuracy: number;
}

/**
 * Whether the most probable level is correct as often as its probability predicts. Bins have equal width. The expected
 * calibration error is Σ n_b/n · |accuracy − confidence| (Guo et al. 2017).
 * @param confidence probability of the most probable level, 0 to 1, length n
 * @param right 1 if that is the level of the MOS, else 0, length n
 * @throws RangeError if the lengths differ
 */
export function levelReliability(
  confidence: ArrayLike<number>,
  right: ArrayLike<number>,
  bins = 10,
): { bins: LevelReliabilityBin[]; ece: number } {
  const n = requirePairs(confidence, right);
  const sums = Array.from({ length: bins }, () => ({ n: 0, confidence: 0, right: 0 }));
  for (let i = 0; i < n; i++) {
    // as in the paper, an interval includes its upper end: (0, 0.1], (0.1, 0.2] …
    const bin = sums[Math.max(0, Math.min(bins - 1, Math.ceil(confidence[i]! * bins) - 1))]!;
    bin.n += 1;
    bin.confidence += confidence[i]!;
    bin.right += right[i]!;
  }
  const result = sums.map((sum, b) => ({
    from: b / bins,
    to: (b + 1) / bins,
    n: sum.n,
    confidence: sum.n === 0 ? 0 : sum.confidence / sum.n,
    accuracy: sum.n === 0 ? 0 : sum.right / sum.n,
  }));
  const ece = result.reduce(
    (sum, bin) => sum + (n === 0 ? 0 : (bin.n / n) * Math.abs(bin.accuracy - bin.confidence)),
    0,
  );
  return { bins: result, ece };
}
