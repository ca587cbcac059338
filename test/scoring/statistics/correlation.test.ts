import fc from 'fast-check';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { plcc, ranks, rmse, srcc } from '../../../src/scoring/statistics/correlation.js';
import { mean } from '../../../src/scoring/statistics/descriptive.js';

const { cases } = JSON.parse(
  readFileSync(new URL('../../fixtures/datasets/correlations.json', import.meta.url), 'utf8'),
) as {
  cases: { x: number[]; y: number[]; srcc: number; plcc: number }[];
};

describe('correlation', () => {
  it.each(cases.map((c) => [c.x.length, c] as const))(
    'equals SciPy to 1e-12 for %i pairs, with ties',
    (_, { x, y, ...expected }) => {
      expect(Math.abs(srcc(x, y) - expected.srcc)).toBeLessThan(1e-12);
      expect(Math.abs(plcc(x, y) - expected.plcc)).toBeLessThan(1e-12);
    },
  );

  it('shares the mean rank among equal values', () => {
    expect([...ranks([30, 10, 30, 20, 30])]).toEqual([4, 1, 4, 2, 4]);
  });

  it('keeps its precision when the values have a large offset', () => {
    const x = Array.from({ length: 1000 }, (_, i) => 1e9 + i);
    expect(
      plcc(
        x,
        x.map((v) => -v),
      ),
    ).toBeCloseTo(-1, 12);
    expect(mean([1e16, 1, -1e16])).toBeCloseTo(1 / 3, 12);
  });

  it('is NaN if it is undefined, and refuses lists of different lengths', () => {
    expect(plcc([1, 1, 1], [1, 2, 3])).toBeNaN();
    expect(plcc([0.1, 0.1, 0.1], [1, 2, 3])).toBeNaN();
    expect(srcc([1], [2])).toBeNaN();
    expect(() => plcc([1, 2], [1])).toThrow(/2 and 1/);
    expect(() => srcc([1, NaN], [1, 2])).toThrow(/position 1/);
    expect(rmse([1, 2], [1, 4])).toBeCloseTo(Math.SQRT2, 15);
  });

  it('does not change with units (PLCC) or with any increasing map (SRCC)', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.integer({ min: -50, max: 50 }), fc.integer({ min: -50, max: 50 })), {
          minLength: 3,
          maxLength: 60,
        }),
        (pairs) => {
          const x = pairs.map((p) => p[0]);
          const y = pairs.map((p) => p[1]);
          const [a, b] = [
            plcc(x, y),
            plcc(
              x.map((v) => 3 * v - 7),
              y,
            ),
          ];
          expect(Number.isNaN(a) ? Number.isNaN(b) : Math.abs(a - b) < 1e-12).toBe(true);
          const [c, d] = [
            srcc(x, y),
            srcc(
              x.map((v) => v ** 3 + v),
              y,
            ),
          ];
          expect(Number.isNaN(c) ? Number.isNaN(d) : Math.abs(c - d) < 1e-12).toBe(true);
        },
      ),
    );
  });
});
