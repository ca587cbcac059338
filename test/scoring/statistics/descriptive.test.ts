import { describe, expect, it } from 'vitest';
import { mean, meanAndDeviation, median, requirePairs } from '../../../src/scoring/statistics/descriptive.js';

describe('median', () => {
  it.each([
    [[3, 1, 2], 2],
    [[4, 1, 3, 2], 3],
    [[10, 9], 10],
    [[7], 7],
    [[], undefined],
  ])('of %j is %s: of an even count the upper of the two', (values, expected) => {
    expect(median(values)).toBe(expected);
  });

  it('does not change the values', () => {
    const values = [3, 1, 2];
    median(values);
    expect(values).toEqual([3, 1, 2]);
  });
});

describe('meanAndDeviation', () => {
  it('is the sample standard deviation, or null for too few values', () => {
    expect(meanAndDeviation([2, 4, 4, 4, 5, 5, 7, 9])).toEqual({ mean: 5, deviation: Math.sqrt(32 / 7) });
    expect(meanAndDeviation([3])).toEqual({ mean: 3, deviation: null });
    expect(meanAndDeviation([])).toEqual({ mean: null, deviation: null });
  });
});

describe('mean', () => {
  it('keeps digits that a plain sum loses', () => {
    expect(mean([1, 1e100, 1, -1e100])).toBe(0.5);
  });
});

describe('requirePairs', () => {
  it('returns the length, and refuses lists that do not match', () => {
    expect(requirePairs([1, 2], [3, 4])).toBe(2);
    expect(() => requirePairs([1], [1, 2])).toThrow('got 1 and 2');
    expect(() => requirePairs([1, Number.NaN], [1, 2])).toThrow('position 1');
  });
});
