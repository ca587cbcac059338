import { LEVELS, type ByLevel } from './levels.js';

/**
 * Probability that a rating drawn from `first` is above one drawn from `second`; ties count half. The formula is
 * Σ_i Σ_{j worse than i} p_i q_j + ½ Σ_i p_i q_i, in [0, 1]. Equal distributions give ½, and swapping the arguments
 * gives the complement.
 */
export function probabilityAbove(first: ByLevel, second: ByLevel): number {
  let above = 0;
  let worse = 1; // probability of `second` on the levels below the current one
  for (const level of LEVELS) {
    worse -= second[level];
    above += first[level] * (Math.max(0, worse) + second[level] / 2);
  }
  return Math.min(1, Math.max(0, above));
}
