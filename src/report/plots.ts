// Plots are hand-written SVG strings: a report is one file without scripts, made without a browser.

import { COLOURS, createAxes, EDGE, extent, fixed, HEIGHT, key, label, svg, type Axes } from './axes.js';
import { escape } from './escape.js';

/** A point of a plot in the units of its axes; `label` is its tooltip. */
export interface Point {
  readonly x: number;
  readonly y: number;
  readonly label?: string | undefined;
}

/**
 * Maximum number of points in a plot. With more points, only an even selection is drawn, because all
 * points would overlap and make a large file. The caption should mention the selection.
 */
export const MAX_POINTS = 3000;

/** Points, with an optional curve over them. */
export function scatter({
  points,
  curve,
  zero = false,
  xLabel,
  yLabel,
}: {
  points: readonly Point[];
  curve?: ((x: number) => number) | undefined;
  /** Draws a line at y = 0, the best value of a residual. */
  zero?: boolean | undefined;
  xLabel: string;
  yLabel: string;
}): string {
  const shown = thinned(points);
  const [x0, x1] = extent(points.map(({ x }) => x));
  const fitted =
    curve === undefined
      ? []
      : Array.from({ length: 101 }, (_, i) => ({
          x: x0 + ((x1 - x0) * i) / 100,
          y: curve(x0 + ((x1 - x0) * i) / 100),
        })).filter(({ y }) => Number.isFinite(y));
  const heights = [...points, ...fitted].map(({ y }) => y);
  const axes = createAxes({ x: [x0, x1], y: extent(zero ? [...heights, 0] : heights), xLabel, yLabel });
  const radius = shown.length > 500 ? 1.6 : 2.8;
  const dots = shown
    .map(
      ({ x, y, label: text }) =>
        `<circle cx="${axes.x(x)}" cy="${axes.y(y)}" r="${radius}">${text === undefined ? '' : `<title>${escape(text)}</title>`}</circle>`,
    )
    .join('');
  const middle = zero
    ? line(
        [
          { x: x0, y: 0 },
          { x: x1, y: 0 },
        ],
        axes,
        'var(--second)',
      )
    : '';
  return svg(
    `${axes.frame}<g fill="var(--mark)" fill-opacity=".45">${dots}</g>${line(fitted, axes, 'var(--second)')}${middle}`,
    `${yLabel} against ${xLabel}`,
  );
}

/** One or more lines over the same axes. */
export function lines({
  series,
  xLabel,
  yLabel,
}: {
  series: readonly { readonly name: string; readonly points: readonly Point[] }[];
  xLabel: string;
  yLabel: string;
}): string {
  const all = series.flatMap(({ points }) => points);
  const axes = createAxes({ x: extent(all.map(({ x }) => x)), y: extent(all.map(({ y }) => y)), xLabel, yLabel });
  const drawn = series.map(({ points }, i) => {
    const colour = COLOURS[i % COLOURS.length]!;
    const dots = points
      .map(({ x, y }) => `<circle cx="${axes.x(x)}" cy="${axes.y(y)}" r="3" fill="${colour}"/>`)
      .join('');
    return `${line(points, axes, colour)}${dots}`;
  });
  return svg(axes.frame + drawn.join('') + key(series.map(({ name }) => name)), `${yLabel} against ${xLabel}`);
}

/** Bars from zero, side by side for each name. One series is a histogram of levels, more are a comparison. */
export function bars({
  names,
  series,
  xLabel,
  yLabel,
}: {
  names: readonly string[];
  series: readonly { readonly name: string; readonly values: readonly number[]; readonly labels?: readonly string[] }[];
  xLabel: string;
  yLabel: string;
}): string {
  const values = series.flatMap((one) => one.values);
  const [low, high] = [Math.min(0, ...values), Math.max(0, ...values)];
  // room for the number at the end of a bar
  const room = 0.1 * (high - low || 1);
  const axes = createAxes({
    x: [0, names.length],
    y: [low < 0 ? low - room : 0, high > 0 || low === 0 ? high + room : room / 2],
    xLabel,
    yLabel,
    xTicks: false,
  });
  const width = (axes.x(1) - axes.x(0)) / (series.length + 0.5);
  const drawn = series.flatMap((one, s) =>
    one.values.map((value, i) => {
      const left = axes.x(i) + width * (s + 0.25);
      const [top, bottom] = [axes.y(Math.max(0, value)), axes.y(Math.min(0, value))];
      const text = one.labels?.[i] ?? (Number.isInteger(value) ? String(value) : value.toFixed(3));
      return `<rect x="${fixed(left)}" y="${top}" width="${fixed(width * 0.92)}" height="${fixed(bottom - top)}" fill="${COLOURS[s % COLOURS.length]}"/>${label(left + width * 0.46, value < 0 ? bottom + 12 : top - 4, text)}`;
    }),
  );
  const labels = names.map((name, i) => label(axes.x(i + 0.5), HEIGHT - EDGE.bottom + 17, name, { strong: true }));
  return svg(
    [axes.frame, ...drawn, ...labels, series.length < 2 ? '' : key(series.map(({ name }) => name))].join(''),
    `${yLabel} by ${xLabel}`,
  );
}

function thinned(points: readonly Point[]): readonly Point[] {
  if (points.length <= MAX_POINTS) return points;
  const step = points.length / MAX_POINTS;
  return Array.from({ length: MAX_POINTS }, (_, i) => points[Math.floor(i * step)]!);
}

/** A path through points; empty for fewer than two. */
export function line(points: readonly Point[], axes: Axes, colour: string): string {
  if (points.length < 2) return '';
  return `<path d="M${points.map(({ x, y }) => `${axes.x(x)} ${axes.y(y)}`).join('L')}" fill="none" stroke="${colour}" stroke-width="2"/>`;
}
