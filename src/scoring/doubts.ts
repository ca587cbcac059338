/** Below this probability of the level words, the model wanted to answer with another word. */
const LOW_MASS = 0.5;
/** Above 90 % of the entropy of five equal levels, the model is undecided. In nats. */
const HIGH_ENTROPY = 0.9 * Math.log(5);

/** The fields of a result that can cast doubt on its score. */
export interface Doubtful {
  readonly warnings: readonly string[];
  /** Probability of the level words, 0 to 1. */
  readonly level_mass: number;
  /** Entropy of the levels in nats. */
  readonly entropy: number;
}

/** Reasons to doubt a score, as sentences. */
export function doubtsOf({ warnings, level_mass, entropy }: Doubtful): string[] {
  const found = [...warnings];
  if (level_mass < LOW_MASS)
    found.push(
      `The level words have only ${(100 * level_mass).toFixed(0)} % of the probability: the model wanted to answer with another word.`,
    );
  if (entropy > HIGH_ENTROPY) found.push('All levels are almost equally probable: the model is undecided.');
  return found;
}
