import { mulberry32, shuffled } from '../base/random.js';

/**
 * Picks a question for each record at random, with a seed. Every n records use all n questions once, in a new random
 * order. So their counts differ by at most one.
 */
export function questionPicker(questions: readonly string[], seed: number): () => string {
  const random = mulberry32(seed);
  let deck: string[] = [];
  return () => {
    if (deck.length === 0) deck = shuffled(questions, random);
    return deck.pop() ?? '';
  };
}
