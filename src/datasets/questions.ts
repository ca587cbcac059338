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

/** Fisher and Yates. */
export function shuffled<T>(items: readonly T[], random: () => number): T[] {
  const result = [...items];
  for (let i = result.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    [result[i], result[j]] = [result[j]!, result[i]!];
  }
  return result;
}

/** A small seeded generator of numbers in [0, 1): Weyl steps of 32 bits, mixed by multiplications and shifts. */
export function mulberry32(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}
