import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  edgeDistance,
  levelFinder,
  OFFICIAL_RULE,
  PAPER_RULE,
  scoreRange,
  type LevelRule,
} from '../../src/scoring/level-conversion.js';

const rule: fc.Arbitrary<LevelRule> = fc.record({
  names: fc.constantFrom(['good', 'bad'], ['a', 'b', 'c'], OFFICIAL_RULE.names, ['1', '2', '3', '4', '5', '6', '7']),
  range: fc.constantFrom('trimmed' as const, 'minmax' as const),
  edge: fc.constantFrom('lower' as const, 'upper' as const),
  outside: fc.constantFrom('drop' as const, 'clip' as const),
  ends: fc.constantFrom('half_open' as const, 'closed' as const),
});
const scores = fc
  .array(fc.double({ min: -1000, max: 1000, noNaN: true }), { minLength: 2, maxLength: 3000 })
  .filter((v) => new Set(v).size > 4);

describe('scoreRange', () => {
  it('cuts a thousandth of the rows at each end, with the indices of the authors', () => {
    const values = Float64Array.from({ length: 2500 }, (_, i) => 2499 - i);
    expect(scoreRange(values, 'trimmed')).toEqual({ min: 2, max: 2498 });
    expect(scoreRange(values, 'minmax')).toEqual({ min: 0, max: 2499 });
    expect(scoreRange(values, [1, 5])).toEqual({ min: 1, max: 5 });
    expect(values[0]).toBe(2499);
  });

  it('uses all rows if a thousandth is less than one row', () => {
    expect(scoreRange(Float64Array.of(3, 1, 2), 'trimmed')).toEqual({ min: 1, max: 3 });
  });

  it('refuses an empty range', () => {
    expect(() => scoreRange(new Float64Array(0), 'minmax')).toThrow(/no scores/);
    expect(() => scoreRange(Float64Array.of(2, 2), 'minmax')).toThrow(/\[2, 2\]/);
    expect(() => scoreRange(Float64Array.of(1), [5, 1])).toThrow(/\[5, 1\]/);
  });
});

describe('levelFinder', () => {
  it('puts an edge at the position of the rule', () => {
    const range = { min: 0, max: 100 };
    const official = levelFinder(OFFICIAL_RULE, range);
    expect([0, 20, 39.9, 40, 60, 80, 99.9].map(official)).toEqual([4, 3, 3, 2, 1, 0, 0]);
    expect([-0.1, 100, 101].map(official)).toEqual([undefined, undefined, undefined]);
    const paper = levelFinder(PAPER_RULE, range);
    expect([0, 20, 20.1, 40, 60, 80, 80.1, 100].map(paper)).toEqual([4, 4, 3, 3, 2, 1, 0, 0]);
    expect([-5, 500].map(paper)).toEqual([4, 0]);
  });

  it.each(['lower', 'upper'] as const)('keeps the best and the worst row of a range of all rows (edge %s)', (edge) => {
    const values = [12.5, 91, 33, 0.1 + 0.2, 47.25];
    const minmax: LevelRule = { ...OFFICIAL_RULE, range: 'minmax', outside: 'drop', edge };
    const turned = values.map((value) => 100.1 - value);
    for (const scores of [values, turned]) {
      const find = levelFinder(minmax, scoreRange(Float64Array.from(scores), 'minmax'));
      expect(scores.map(find)).not.toContain(undefined);
      expect(find(Math.max(...scores))).toBe(0);
      expect(find(Math.min(...scores))).toBe(4);
      expect([find(Math.max(...scores) + 1e-6), find(Math.min(...scores) - 1e-6)]).toEqual([undefined, undefined]);
    }
  });

  it('keeps a score at the end of its scale that was inverted in doubles', () => {
    const find = levelFinder({ ...PAPER_RULE, outside: 'drop' }, { min: 0.1, max: 0.2 });
    expect(0.1 + 0.2 - 0.1).toBeGreaterThan(0.2);
    expect([find(0.1 + 0.2 - 0.1), find(0.1 + 0.2 - 0.2)]).toEqual([0, 4]);
  });

  it('gives every score inside exactly one level, in order, and keeps or drops scores outside', () => {
    fc.assert(
      fc.property(rule, scores, (r, values) => {
        const range = scoreRange(Float64Array.from(values), r.range);
        fc.pre(range.max - range.min > 1e-300);
        const find = levelFinder(r, range);
        let previous = r.names.length - 1;
        for (const score of [...values].sort((a, b) => a - b)) {
          const level = find(score);
          const strictlyInside = score > range.min && score < range.max;
          if (level === undefined) {
            expect(r.outside).toBe('drop');
            expect(strictlyInside).toBe(false);
            continue;
          }
          expect(level).toBeLessThanOrEqual(previous);
          expect(Number.isInteger(level) && level >= 0 && level < r.names.length).toBe(true);
          previous = level;
        }
      }),
      { numRuns: 200 },
    );
  });

  it('agrees with bins defined by inequalities', () => {
    fc.assert(
      fc.property(
        fc.double({ min: 0, max: 1, noNaN: true }),
        fc.constantFrom('lower' as const, 'upper' as const),
        (score, edge) => {
          const level = levelFinder({ ...PAPER_RULE, edge }, { min: 0, max: 1 })(score)!;
          const i = 4 - level;
          const [low, high] = [i * 0.2, (i + 1) * 0.2];
          if (edge === 'lower') expect(low <= score && (score < high || i === 4)).toBe(true);
          else expect((low < score || i === 0) && (score <= high || i === 4)).toBe(true);
        },
      ),
    );
  });

  it('measures the distance of a score to an edge', () => {
    expect(edgeDistance(40, { min: 0, max: 100 }, 5)).toBe(0);
    expect(edgeDistance(50, { min: 0, max: 100 }, 5)).toBe(0.5);
    expect(edgeDistance(100, { min: 0, max: 100 }, 5)).toBe(1);
  });
});
