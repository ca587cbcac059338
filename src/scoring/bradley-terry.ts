/** One comparison of two items by index. `won`: 1 if the first was better, 0 if the second was, 0.5 for a tie. */
export interface Comparison {
  readonly first: number;
  readonly second: number;
  readonly won: number;
}

/** Weight of a normal prior on each strength. It keeps items finite that won or lost every comparison. */
const PRIOR = 0.5;
const STEPS = 200;

/**
 * Fits a Bradley–Terry model with a weak prior (Bradley and Terry 1952): P(i above j) = 1 / (1 + exp(θ_j − θ_i)).
 * Returns for each of `n` items the mean probability of being above the others, in (0, 1). One item gives ½.
 */
export function bradleyTerry(n: number, comparisons: readonly Comparison[]): number[] {
  const strength = new Float64Array(n);
  const above = (i: number, j: number): number => 1 / (1 + Math.exp(strength[j]! - strength[i]!));
  for (let step = 0; step < STEPS; step++) {
    // A Newton step on all strengths at once, with the diagonal of the curvature: the log posterior is concave.
    const slope = Float64Array.from(strength, (value) => -PRIOR * value);
    const bend = new Float64Array(n).fill(PRIOR);
    for (const { first, second, won } of comparisons) {
      const p = above(first, second);
      slope[first]! += won - p;
      slope[second]! -= won - p;
      bend[first]! += 2 * p * (1 - p); // 2: both strengths move at once
      bend[second]! += 2 * p * (1 - p);
    }
    for (let i = 0; i < n; i++) strength[i]! += slope[i]! / bend[i]!;
  }
  return Array.from(strength, (_, i) => {
    let sum = 0;
    for (let j = 0; j < n; j++) if (j !== i) sum += above(i, j);
    return n < 2 ? 0.5 : sum / (n - 1);
  });
}
