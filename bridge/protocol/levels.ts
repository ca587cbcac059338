/**
 * The five rating levels of Q-Align (paper section 3.1), best first. All lists of logits and probabilities have this
 * order, in code, on the wire and in results.
 */
export const LEVELS = ['excellent', 'good', 'fair', 'poor', 'bad'] as const;

/** Values of the levels on the paper's scale of 1 to 5: the weights of Eq. 4. */
export const LEVEL_VALUES = [5, 4, 3, 2, 1] as const;
