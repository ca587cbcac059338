import { describe, expect, it } from 'vitest';
import { describeLogistic } from '../../../src/recipes/evaluate/logistic-words.js';
import { fitLogistic } from '../../../src/scoring/statistics/logistic.js';

const ranges = { score: [1, 5], mos: [0, 100] } as const;
const xs = Array.from({ length: 60 }, (_, i) => 1 + (4 * i) / 59);
const described = (f: (x: number) => number): string => {
  const ys = xs.map(f);
  return describeLogistic(fitLogistic(xs, ys)!, { score: [1, 5], mos: [Math.min(...ys), Math.max(...ys)] });
};

describe('describeLogistic', () => {
  it('prints a formula with parameters inside the range of the data', () => {
    expect(describeLogistic({ beta1: 90, beta2: 10, beta3: 3, beta4: 0.5 }, ranges)).toBe(
      'f(x) = 10.0000 + (90.0000 − 10.0000) / (1 + exp(−(x − 3.0000) / 0.5000))',
    );
    expect(described((x) => 10 + 80 / (1 + Math.exp(-(x - 3) / 0.5)))).toMatch(/^f\(x\)/);
  });

  it('describes a degenerate curve in words, without a formula', () => {
    const linear = 'the fitted curve is nearly linear over the range of the scores';
    const reported = { beta1: 3.1594, beta2: -3583477.1225, beta3: -156.8344, beta4: 11.3182 };
    expect(describeLogistic(reported, { score: [1.2, 4.6], mos: [0.1, 3] })).toBe(linear);
    expect(described((x) => 3 + 20 * x)).toBe(linear);
    expect(described((x) => Math.exp(2 * x))).toMatch(/does not have the bend of a logistic/);
    expect(described((x) => (x < 3 ? 1 : 2))).toMatch(/^(the fitted curve is nearly a step at the score [23]\.\d+)$/);
  });
});
