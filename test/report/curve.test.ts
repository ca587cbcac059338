import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createCurve, smoothed } from '../../src/report/curve.js';
import { lines } from '../../src/report/plots.js';

describe('a thinned curve', () => {
  it('keeps count, mean and extremes of any series in few points', () => {
    fc.assert(
      fc.property(
        fc.array(fc.double({ min: -1e6, max: 1e6, noNaN: true }), { minLength: 1, maxLength: 500 }),
        (values) => {
          const curve = createCurve(20);
          values.forEach((y, i) => curve.push(i + 1, y));
          const { x, mean, min, max, n } = curve.columns();
          expect(x.length).toBeLessThanOrEqual(20);
          expect(x).toEqual([...x].sort((a, b) => a - b));
          expect(n.reduce((a, b) => a + b)).toBe(values.length);
          expect(Math.min(...min)).toBe(Math.min(...values));
          expect(Math.max(...max)).toBe(Math.max(...values));
          const total = mean.reduce((sum, value, i) => sum + value * n[i]!, 0);
          expect(total).toBeCloseTo(
            values.reduce((a, b) => a + b),
            3,
          );
        },
      ),
    );
  });

  it('is continued by the page as by the service', () => {
    const whole = createCurve(20);
    for (let i = 1; i <= 300; i++) whole.push(i, Math.sin(i));
    const first = createCurve(20);
    for (let i = 1; i <= 160; i++) first.push(i, Math.sin(i));
    const second = createCurve(20, first.columns());
    for (let i = 161; i <= 300; i++) second.push(i, Math.sin(i));
    expect(second.columns().n).toEqual(whole.columns().n);
    expect(second.columns().max).toEqual(whole.columns().max);
  });

  it('follows a run that was resumed from an earlier step', () => {
    const curve = createCurve(20);
    for (const [x, y] of [[1, 1], [2, 2], [3, 9], [2, 5], [3, 6]] as const) curve.push(x, y); // prettier-ignore
    expect(curve.columns()).toMatchObject({ x: [1, 2, 3], mean: [1, 5, 6] });
  });
});

it('smooths without a bias at the start', () => {
  expect(smoothed([4, 4, 4], 0.9).map((value) => Number(value.toFixed(9)))).toEqual([4, 4, 4]);
  expect(smoothed([1, 2, 3], 0)).toEqual([1, 2, 3]);
});

describe('lines', () => {
  const series = [{ name: 'a', points: [{ x: 0, y: 1e-5 }, { x: 1, y: 0 }, { x: 2, y: 1e3 }] }]; // prettier-ignore
  it('has a logarithmic axis, without values that are not above 0', () => {
    const svg = lines({ series, xLabel: 'step', yLabel: 'loss', yLog: true });
    expect(svg).toContain('>1e−4<');
    expect(svg).toContain('>100<');
    expect(svg.match(/<circle/g)).toHaveLength(2);
    expect(svg).not.toMatch(/NaN|Infinity/);
  });
  it('writes small values so that they fit beside the axis', () => {
    const points = [0, 1, 2].map((x) => ({ x, y: x * 1e-5 }));
    expect(lines({ series: [{ name: 'lr', points }], xLabel: 'step', yLabel: 'lr' })).toContain('>1.0e−5<');
  });
});
