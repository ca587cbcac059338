/** The boundary of src/scoring: pure functions of numbers; no files, no pixels, no messages. */
import { byLevel, LEVELS, LEVEL_VALUES, type ByLevel, type Level, type Scale } from './levels.js';

/** The score, level, probabilities, entropy and standard deviation that follow from five logits. */
export interface LevelScore {
  /** Σ p_i · value_i, on the requested scale (Eq. 4 of the paper). */
  score: number;
  /** The most probable level, the better one if two are equal. It can differ from the level nearest to the score. */
  level: Level;
  /** Closed-set softmax over the five words; sums to one. */
  level_probs: ByLevel;
  /**
   * Total probability of the five words in the whole vocabulary, 0 to 1. Near 0, the model preferred another word as
   * its answer.
   */
  level_mass: number;
  /** Entropy of level_probs in nats: 0 (certain) to ln 5 ≈ 1.609 (uniform). */
  entropy: number;
  /** Standard deviation of the level values under level_probs, on the same scale as the score. */
  std: number;
}

/** ln Σ exp(x_i) without overflow. */
export function logSumExp(values: readonly number[]): number {
  const top = Math.max(...values);
  return top + Math.log(values.reduce((sum, value) => sum + Math.exp(value - top), 0));
}

/** Softmax in doubles. Subtracts the largest entry first, so that all finite logits are valid. */
export function softmax(logits: readonly number[]): number[] {
  const top = Math.max(...logits);
  const weights = logits.map((logit) => Math.exp(logit - top));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  return weights.map((weight) => weight / total);
}

/**
 * Turns the logits of the five level words into a score (Q-Align, Eq. 3 and 4).
 *
 * @param logits five finite logits in the order of LEVELS
 * @param logSumExpOfVocabulary ln Σ exp over the logits of the whole vocabulary, including the five
 * @throws RangeError for another count of logits or for NaN and infinities
 * @example
 * ```ts
 * const logits = [1, 3, 2, 0, -1];
 * const logSumExp = Math.log(logits.reduce((sum, logit) => sum + Math.exp(logit), 0)); // these five words alone
 * scoreLogits(logits, logSumExp, 'mos5').level; // 'good'
 * ```
 */
export function scoreLogits(logits: readonly number[], logSumExpOfVocabulary: number, scale: Scale): LevelScore {
  const given = byLevel(logits);
  if (!LEVELS.every((level) => Number.isFinite(given[level])) || !Number.isFinite(logSumExpOfVocabulary)) {
    throw new RangeError(`logits must be finite, got [${logits.join(', ')}] and ${logSumExpOfVocabulary}`);
  }
  const probs = softmax(logits);
  const values = LEVEL_VALUES[scale];
  const score = clamp(dot(probs, values), values[4], values[0]);
  const variance = dot(
    probs,
    values.map((value) => (value - score) ** 2),
  );
  return {
    score,
    level: LEVELS[probs.indexOf(Math.max(...probs))] as Level,
    level_probs: byLevel(probs),
    // rounding can make the sum of the five words slightly larger than that of the whole vocabulary
    level_mass: Math.min(1, Math.exp(logSumExp(logits) - logSumExpOfVocabulary)),
    entropy: Math.abs(
      dot(
        probs,
        probs.map((p) => (p > 0 ? -Math.log(p) : 0)),
      ),
    ),
    std: Math.sqrt(variance),
  };
}

/**
 * The rule of Q-Bench: the probability of "good" in a softmax over "good" and "poor", 0 to 1. This is Eq. 4 for two
 * levels with the values 1 and 0.
 */
export function wordPairScore(good: number, poor: number): number {
  return good >= poor ? 1 / (1 + Math.exp(poor - good)) : Math.exp(good - poor) / (1 + Math.exp(good - poor));
}

function dot(a: readonly number[], b: readonly number[]): number {
  return a.reduce((sum, value, i) => sum + value * (b[i] as number), 0);
}

function clamp(value: number, min: number, max: number): number {
  return Math.min(max, Math.max(min, value));
}
