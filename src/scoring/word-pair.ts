import { softmax } from './score.js';

/**
 * Eq. 4 of the paper for any closed set: Σ softmax(logits)_i · value_i.
 *
 * @param logits finite, one a word
 * @param values what each word is worth
 */
export function closedSetScore(logits: readonly number[], values: readonly number[]): number {
  if (logits.length !== values.length || logits.length < 2)
    throw new RangeError(
      `a closed set needs a value for each of at least two words; got ${logits.length} logits and ${values.length} values`,
    );
  return softmax(logits).reduce((sum, p, i) => sum + p * values[i]!, 0);
}

/**
 * Q-Bench's rule: softmax over "good" and "poor" alone, the probability of "good", 0 to 1. The two-level case of Eq. 4
 * with the values 1 and 0.
 */
export function wordPairScore(good: number, poor: number): number {
  return good >= poor ? 1 / (1 + Math.exp(poor - good)) : Math.exp(good - poor) / (1 + Math.exp(good - poor));
}
