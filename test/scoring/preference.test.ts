import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { byLevel, LEVEL_VALUES } from '../../src/scoring/levels.js';
import { probabilityAbove } from '../../src/scoring/preference.js';
import { softmax } from '../../src/scoring/score.js';

const distribution = fc
  .array(fc.double({ min: -20, max: 20, noNaN: true }), { minLength: 5, maxLength: 5 })
  .map(softmax);

describe('probabilityAbove', () => {
  it('is the sum over all pairs of levels, ties shared', () => {
    fc.assert(
      fc.property(distribution, distribution, (p, q) => {
        const values = LEVEL_VALUES.mos5;
        let expected = 0;
        p.forEach((pi, i) =>
          q.forEach(
            (qj, j) => (expected += pi * qj * ((values[i] as number) > (values[j] as number) ? 1 : i === j ? 0.5 : 0)),
          ),
        );
        expect(probabilityAbove(byLevel(p), byLevel(q))).toBeCloseTo(expected, 10);
        expect(probabilityAbove(byLevel(p), byLevel(q)) + probabilityAbove(byLevel(q), byLevel(p))).toBeCloseTo(1, 10);
      }),
      { seed: 7, numRuns: 200 },
    );
  });

  it('is 1 if every rating is above, ½ if they are equal', () => {
    const [good, bad] = [byLevel([0, 1, 0, 0, 0]), byLevel([0, 0, 0, 0, 1])];
    expect([probabilityAbove(good, bad), probabilityAbove(bad, good), probabilityAbove(good, good)]).toEqual([
      1, 0, 0.5,
    ]);
  });
});
