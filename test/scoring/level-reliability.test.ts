import { describe, expect, it } from 'vitest';
import { levelReliability } from '../../src/scoring/level-reliability.js';

describe('levelReliability', () => {
  it('equals the expected calibration error computed by hand', () => {
    // (0.4, 0.5]: confidence 0.45, accuracy 1/2; (0.8, 0.9]: confidence 0.85, accuracy 2/2; 0.5 · 0.05 + 0.5 · 0.15
    const { bins, ece } = levelReliability([0.42, 0.48, 0.84, 0.86], [1, 0, 1, 1]);
    expect(ece).toBeCloseTo(0.5 * 0.05 + 0.5 * 0.15, 12);
    expect(bins.map(({ n }) => n)).toEqual([0, 0, 0, 0, 2, 0, 0, 0, 2, 0]);
    expect(bins[4]).toMatchObject({ from: 0.4, to: 0.5, accuracy: 0.5 });
    expect(bins[4]!.confidence).toBeCloseTo(0.45, 12);
  });

  it('handles upper ends, both ends of the scale, and empty input', () => {
    expect(levelReliability([0, 0.5, 1], [0, 1, 1], 2).bins.map(({ n }) => n)).toEqual([2, 1]);
    expect(levelReliability([], []).ece).toBe(0);
    expect(() => levelReliability([1], [])).toThrow(RangeError);
  });
});
