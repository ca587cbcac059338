import { describe, expect, it } from 'vitest';
import { curveRanges, curveStatistics } from '../../src/scoring/frame-curve.js';

describe('statistics of a frame curve', () => {
  it('are mean, 5th percentile, minimum and the three lowest', () => {
    const scores = Array.from({ length: 101 }, (_, i) => (i * 37) % 101); // 0 … 100 in another order
    const { mean, p5, min, worst } = curveStatistics(scores);
    expect([mean, p5, min]).toEqual([50, 5, 0]); // numpy.percentile(scores, 5) = 5.0
    expect(worst.map((index) => scores[index])).toEqual([0, 1, 2]);
  });

  it('interpolate, as numpy does', () => {
    expect(curveStatistics([4, 1, 2]).p5).toBeCloseTo(1.1, 12); // numpy.percentile([4, 1, 2], 5)
    expect(curveStatistics([3.25])).toEqual({ mean: 3.25, p5: 3.25, min: 3.25, worst: [0] });
  });

  it('prefer the earlier of equal scores, and need a score', () => {
    expect(curveStatistics([2, 1, 1, 1, 1]).worst).toEqual([1, 2, 3]);
    expect(() => curveStatistics([])).toThrow(RangeError);
  });
});

it('asks about each frame, or about windows that begin at each frame', () => {
  expect(curveRanges(3, 1)).toEqual([
    [0, 1],
    [1, 2],
    [2, 3],
  ]);
  expect(curveRanges(4, 3)).toEqual([
    [0, 3],
    [1, 4],
  ]);
  expect(curveRanges(2, 3)).toEqual([[0, 2]]);
});
