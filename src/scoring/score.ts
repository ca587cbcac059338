/** The boundary of src/scoring: pure functions of numbers; no files, no pixels, no messages. */
import { byLevel, LEVELS, LEVEL_VALUES, type ByLevel, type Level, type Scale } from './levels.js';

/** What five logits amount to: score, level, probabilities, entropy and standard deviation. */
export interface LevelScore {
  /** Σ p_i · value_i, on the scale asked for (Eq. 4 of the paper). */
  score: number;
  /** The most probable level; of equals the better one. Not the level nearest to the score. */
  level: Level;
  /** Closed-set softmax over the five words; sums to one. */
  level_probs: ByLevel;
  /**
   * Probability of the five words together within the whole vocabulary, 0 to 1. Near 0: the model meant to say
   * something else.
   */
  level_mass: number;
  /** Of level_probs, in nats: 0 (certain) to ln 5 ≈ 1.609 (no idea). */
  entropy: number;
  /** Standard deviation of the level values under level_probs, on the same scale as the score. */
  std: number;
}

/** ln Σ exp(x_i) without overflow. */
export function logSumExp(values: readonly number[]): number {
  const top = Math.max(...values);
  return top + Math.log(values.reduce((sum, value) => sum + Math.exp(value - top), 0));
}

/** Softmax in doubles; the largest entry is subtracted first, so any finite logits are fine. */
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
 * @param logSumExpOfVocabulary ln Σ exp over the logits of the whole vocabulary, the five included
 * @throws RangeError for another count of logits or for NaN and infinities
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
    // rounding can put the five words a hair above the whole vocabulary
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
 * Q-Bench's rule: softmax over "good" and "poor" alone, the probability of "good", 0 to 1. The two-level case of Eq. 4
 * with the values 1 and 0.
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
