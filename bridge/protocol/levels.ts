/**
 * The five rating levels of Q-Align (paper section 3.1), best first: the order of every list of logits and
 * probabilities, in code, on the wire and in results.
 */
export const LEVELS = ['excellent', 'good', 'fair', 'poor', 'bad'] as const;

/** What each level is worth on the paper's scale of 1 to 5: the weights of Eq. 4. */
export const LEVEL_VALUES = [5, 4, 3, 2, 1] as const;
