import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { binned, histogram } from '../../src/report/histogram.js';

describe('binned', () => {
  it('counts every value once, for any values', () => {
    fc.assert(
      fc.property(
        fc.array(fc.double({ noNaN: true, min: -1e6, max: 1e6 }), { minLength: 1 }),
        fc.integer({ min: 1, max: 60 }),
        (values, bins) => {
          expect(binned(values, bins).counts.reduce((a, b) => a + b)).toBe(values.length);
        },
      ),
    );
  });

  it('puts the end values into the first and the last bin', () => {
    expect(binned([0, 0.5, 1, 1], 2)).toEqual({ from: 0, to: 1, counts: [1, 3] });
    expect(binned([7, 7], 9)).toEqual({ from: 7, to: 7, counts: [2] });
    expect(binned([], 9)).toEqual({ from: 0, to: 0, counts: [0] });
  });
});

describe('histogram', () => {
  it('draws one bar per bin, only marks inside the range, and no NaN', () => {
    const svg = histogram([1, 2, 2, 3], { xLabel: 'MOS <1>', yLabel: 'pictures', marks: [2.5, 99], bins: 4 });
    expect(svg.match(/<rect/g)).toHaveLength(4);
    expect(svg.match(/stroke-dasharray/g)).toHaveLength(1);
    expect(svg).toContain('MOS &lt;1&gt;');
    for (const drawing of [svg, histogram([], { xLabel: '', yLabel: '' }), histogram([5], { xLabel: '', yLabel: '' })])
      expect(drawing).not.toMatch(/NaN|Infinity|undefined/);
  });
});
