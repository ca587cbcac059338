import { expect, it } from 'vitest';
import { legendHeight, mapAreas, mapColour, mapOverlaySvg } from '../../src/report/map-overlay.js';

const MAP = { window: 40, xs: [0, 20, 60], ys: [0], values: [2, 4, 3], median: 3 };

it('divides the picture among its windows', () => {
  const areas = mapAreas(MAP, 1);
  expect(areas.map(({ left, width }) => [left, width])).toEqual([
    [0, 30],
    [30, 30],
    [60, 40],
  ]);
  expect(areas.map(({ difference }) => difference)).toEqual([-1, 1, 0]);
});

it('is orange below the median, blue above it and white at it', () => {
  expect([mapColour(-9, 1), mapColour(0, 1), mapColour(9, 1)]).toEqual([
    'rgb(190,82,6)',
    'rgb(245,245,245)',
    'rgb(24,90,169)',
  ]);
});

it('draws the areas, the lowest window and a legend without a font', () => {
  const svg = mapOverlaySvg(MAP, { width: 200, height: 80, scale: 2, range: 1, bounds: [1, 5] });
  expect(svg).toContain(`height="${80 + legendHeight(200)}"`);
  expect(svg).not.toContain('<text');
  expect(svg).toContain('<rect x="0.00" y="0.00" width="80.00" height="80.00" fill="none"');
  expect(svg.match(/<path/g)).toHaveLength(3);
});
