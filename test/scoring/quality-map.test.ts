import { describe, expect, it } from 'vitest';
import { lowestWindow, mapMedian, mapRange, planWindows, type MapOptions } from '../../src/scoring/quality-map.js';

const SIZES: readonly [number, number][] = [
  [1024, 1024],
  [4000, 3000],
  [3000, 4001],
  [12_000, 9000],
  [513, 512],
  [300, 200],
  [2000, 3],
  [1, 1],
  [65_535, 7],
];
const OPTIONS: readonly MapOptions[] = [
  {},
  { max: 1 },
  { max: 9 },
  { max: 1024 },
  { window: 100 },
  { window: 256, stride: 64, max: 1024 },
  { stride: 1, max: 1024 },
  { window: 8 },
];

describe('planWindows', () => {
  it.each(SIZES)('keeps the windows of %i x %i in the picture, and touches its edges', (width, height) => {
    for (const options of OPTIONS) {
      const { window, xs, ys } = planWindows(width, height, 448, options);
      expect(window).toBe(Math.min(options.window ?? 448, width, height));
      expect(xs.length * ys.length).toBeLessThanOrEqual(options.max ?? 144);
      for (const [starts, side] of [
        [xs, width],
        [ys, height],
      ] as const) {
        const steps = starts.slice(1).map((start, i) => start - starts[i]!);
        expect(Math.max(...steps, 0) - Math.min(...steps, Infinity)).toBeLessThanOrEqual(1);
        expect(steps.every((step) => step > 0)).toBe(true);
        expect(starts.every((start) => Number.isInteger(start) && start >= 0 && start + window <= side)).toBe(true);
        if (starts.length > 1) expect([starts[0], starts.at(-1)]).toEqual([0, side - window]);
      }
    }
  });

  it('uses half a window as stride, and increases it only if there are too many windows', () => {
    expect(planWindows(1024, 1024, 512)).toEqual({ window: 512, xs: [0, 256, 512], ys: [0, 256, 512], warnings: [] });
    const { xs, ys } = planWindows(4000, 3000, 448);
    expect(xs.length * ys.length).toBeGreaterThan(110);
    expect(planWindows(4000, 3000, 448, { max: 1024 }).xs.length).toBe(17); // ceil((4000 - 448) / 224) + 1
  });

  it('covers the views of the model by default', () => {
    expect(planWindows(1024, 1024, 256, {}, 2)).toEqual(planWindows(1024, 1024, 512));
    expect(planWindows(1024, 1024, 256, { window: 300 }, 2)).toMatchObject({ window: 300, warnings: [] });
    expect(planWindows(400, 1024, 256, {}, 2).window).toBe(400);
  });

  it('warns about pictures that are too small, enlarged windows and gaps', () => {
    expect(planWindows(900, 2000, 448).warnings).toEqual([]);
    expect(planWindows(800, 2000, 448).warnings).toEqual([expect.stringContaining('too few to locate damage')]);
    expect(planWindows(300, 400, 448).warnings).toEqual([
      expect.stringContaining('windows of 300 pixels are enlarged to the 448 pixels'),
      expect.stringContaining('less than two windows of 300'),
    ]);
    expect(planWindows(900, 900, 448, { window: 200 }).warnings).toEqual([expect.stringContaining('enlarged')]);
    expect(planWindows(9000, 9000, 448, { max: 9 }).warnings).toEqual([expect.stringContaining('leave parts')]);
    expect(planWindows(1000, 1000, 448, { max: 1 }).warnings).toEqual([expect.stringContaining('leave parts')]);
  });
});

it('summarises a map', () => {
  const map = { window: 4, xs: [0, 3], ys: [0, 5], values: [3, 2, 2, 4] };
  expect(lowestWindow(map)).toEqual({ value: 2, x: 3, y: 0 });
  expect(mapMedian(map)).toBe(2.5);
  expect([mapRange(map, 'mos5'), mapRange(map, 'percent'), mapRange({ values: [3, 3] }, 'mos5')]).toEqual([
    1.5, 12.5, 0.5,
  ]);
});
