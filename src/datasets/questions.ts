import { mulberry32, shuffled } from '../base/random.js';

/**
 * Which of the paraphrases each record gets: seeded, and balanced: every run of n records uses all n questions once, in
 * an order drawn anew. So counts differ by at most one.
 */
export function questionPicker(questions: readonly string[], seed: number): () => string {
  const random = mulberry32(seed);
  let deck: string[] = [];
  return () => {
    if (deck.length === 0) deck = shuffled(questions, random);
    return deck.pop() ?? '';
  };
}
