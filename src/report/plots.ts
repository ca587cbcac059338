// Plots are hand-written SVG strings: a report is one file without scripts, made without a browser.

import { escape } from './page.js';

/** A point of a plot in the units of its axes; `label` appears when the pointer rests on it. */
export interface Point {
  readonly x: number;
  readonly y: number;
  readonly label?: string | undefined;
}

const [WIDTH, HEIGHT] = [440, 320];
const EDGE = { left: 52, right: 12, top: 26, bottom: 40 };
/**
 * More points make a file of megabytes and a black cloud: an even choice of them is drawn, and the caption should say
 * so.
 */
export const MAX_POINTS = 3000;

/** Points, with a curve over them where there is one. */
export function scatter({
  points,
  curve,
  xLabel,
  yLabel,
}: {
  points: readonly Point[];
  curve?: ((x: number) => number) | undefined;
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
  const axes = createAxes([x0, x1], extent([...points, ...fitted].map(({ y }) => y)), xLabel, yLabel);
  const radius = shown.length > 500 ? 1.6 : 2.8;
  const dots = shown
    .map(
      ({ x, y, label }) =>
        `<circle cx="${axes.x(x)}" cy="${axes.y(y)}" r="${radius}">${label === undefined ? '' : `<title>${escape(label)}</title>`}</circle>`,
    )
    .join('');
  return svg(`${axes.frame}<g fill="var(--mark)" fill-opacity=".45">${dots}</g>${line(fitted, axes, 'var(--second)')}`);
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
  const axes = createAxes(extent(all.map(({ x }) => x)), extent(all.map(({ y }) => y)), xLabel, yLabel);
  const drawn = series.map(({ points }, i) => {
    const colour = COLOURS[i % COLOURS.length]!;
    const dots = points
      .map(({ x, y }) => `<circle cx="${axes.x(x)}" cy="${axes.y(y)}" r="3" fill="${colour}"/>`)
      .join('');
    return `${line(points, axes, colour)}${dots}`;
  });
  return svg(axes.frame + drawn.join('') + key(series.map(({ name }) => name)));
}

/** Bars side by side for every name: a level histogram with one series, a comparison with more. */
export function bars({
  names,
  series,
  yLabel,
}: {
  names: readonly string[];
  series: readonly { readonly name: string; readonly values: readonly number[]; readonly labels?: readonly string[] }[];
  yLabel: string;
}): string {
  const top = Math.max(1e-12, ...series.flatMap(({ values }) => values));
  const axes = createAxes([0, names.length], [0, top * 1.08], '', yLabel, false);
  const width = (axes.x(1) - axes.x(0)) / (series.length + 0.5);
  const drawn = series.flatMap(({ values, labels: texts }, s) =>
    values.map((value, i) => {
      const left = axes.x(i) + width * (s + 0.25);
      const height = axes.y(0) - axes.y(value);
      const text = texts?.[i] ?? (Number.isInteger(value) ? String(value) : value.toFixed(3));
      return `<rect x="${fixed(left)}" y="${axes.y(value)}" width="${fixed(width * 0.92)}" height="${fixed(Math.max(0, height))}" fill="${COLOURS[s % COLOURS.length]}"/><text x="${fixed(left + width * 0.46)}" y="${fixed(axes.y(value) - 3)}" text-anchor="middle">${escape(text)}</text>`;
    }),
  );
  const labels = names.map(
    (name, i) =>
      `<text class="strong" x="${axes.x(i + 0.5)}" y="${HEIGHT - EDGE.bottom + 16}" text-anchor="middle">${escape(name)}</text>`,
  );
  return svg([axes.frame, ...drawn, ...labels, series.length < 2 ? '' : key(series.map(({ name }) => name))].join(''));
}

/** Counts by row and column; the shade is the share of the row. */
export function matrix({
  rows,
  columns,
  values,
  rowLabel,
  columnLabel,
}: {
  rows: readonly string[];
  columns: readonly string[];
  values: readonly (readonly number[])[];
  rowLabel: string;
  columnLabel: string;
}): string {
  const [left, top, side, tall] = [104, 48, 62, 42];
  const cells = values.flatMap((row, r) => {
    const sum = Math.max(
      1,
      row.reduce((a, b) => a + b, 0),
    );
    return row.map((value, c) => {
      const [x, y] = [left + c * side, top + r * tall];
      return `<rect x="${x}" y="${y}" width="${side - 2}" height="${tall - 2}" fill="var(--mark)" fill-opacity="${(0.06 + (0.8 * value) / sum).toFixed(3)}"/><text class="strong" x="${x + side / 2 - 1}" y="${y + tall / 2 + 3}" text-anchor="middle">${value}</text>`;
    });
  });
  const names = [
    ...columns.map(
      (name, c) => `<text x="${left + c * side + side / 2}" y="${top - 7}" text-anchor="middle">${escape(name)}</text>`,
    ),
    ...rows.map(
      (name, r) =>
        `<text x="${left - 8}" y="${top + r * tall + tall / 2 + 3}" text-anchor="end">${escape(name)}</text>`,
    ),
    `<text class="strong" x="${left}" y="14">${escape(columnLabel)} →</text>`,
    `<text class="strong" x="2" y="${top - 7}">${escape(rowLabel)} ↓</text>`,
  ];
  const [width, height] = [left + columns.length * side + 8, top + rows.length * tall + 6];
  return `<svg viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img">${[...cells, ...names].join('')}</svg>`;
}

/** The names of series above the frame, in their colours. */
function key(names: readonly string[]): string {
  const spans = names.map(
    (name, i) =>
      `<tspan style="fill:${COLOURS[i % COLOURS.length]}"${i === 0 ? '' : ' dx="14"'}>■ ${escape(name)}</tspan>`,
  );
  return `<text x="${EDGE.left}" y="14">${spans.join('')}</text>`;
}

const COLOURS = ['var(--mark)', 'var(--second)', 'var(--third)'];

export interface Axes {
  readonly x: (value: number) => number;
  readonly y: (value: number) => number;
  readonly frame: string;
}

export function createAxes(
  xRange: readonly [number, number],
  yRange: readonly [number, number],
  xLabel: string,
  yLabel: string,
  xTicks = true,
): Axes {
  const x = (value: number): number =>
    fixed(EDGE.left + ((value - xRange[0]) / (xRange[1] - xRange[0])) * (WIDTH - EDGE.left - EDGE.right));
  const y = (value: number): number =>
    fixed(HEIGHT - EDGE.bottom - ((value - yRange[0]) / (yRange[1] - yRange[0])) * (HEIGHT - EDGE.top - EDGE.bottom));
  const bottom = HEIGHT - EDGE.bottom;
  const parts = [
    `<path d="M${EDGE.left} ${EDGE.top}V${bottom}H${WIDTH - EDGE.right}" fill="none" stroke="var(--line)"/>`,
  ];
  if (xTicks)
    for (const tick of ticks(xRange))
      parts.push(
        `<path d="M${x(tick.value)} ${bottom}v4" stroke="var(--line)"/><text x="${x(tick.value)}" y="${bottom + 16}" text-anchor="middle">${tick.text}</text>`,
      );
  for (const tick of ticks(yRange))
    parts.push(
      `<path d="M${EDGE.left} ${y(tick.value)}H${WIDTH - EDGE.right}" stroke="var(--line)" stroke-opacity=".6"/><text x="${EDGE.left - 6}" y="${y(tick.value) + 4}" text-anchor="end">${tick.text}</text>`,
    );
  parts.push(
    `<text class="strong" x="${(WIDTH + EDGE.left) / 2}" y="${HEIGHT - 6}" text-anchor="middle">${escape(xLabel)}</text>`,
  );
  parts.push(
    `<text class="strong" transform="translate(12 ${(bottom + EDGE.top) / 2}) rotate(-90)" text-anchor="middle">${escape(yLabel)}</text>`,
  );
  return { x, y, frame: parts.join('') };
}

/** Four to eight round numbers inside a range. */
function ticks([low, high]: readonly [number, number]): { value: number; text: string }[] {
  const rough = (high - low) / 5;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * ([1, 2, 5, 10].find((factor) => factor * power >= rough) ?? 10);
  const digits = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
  const text = (value: number): string => (step >= 1e5 || digits > 6 ? value.toExponential(1) : value.toFixed(digits));
  const found = [];
  for (let k = Math.ceil(low / step - 1e-9); k * step <= high + step * 1e-9; k++)
    found.push({ value: k * step, text: text(k * step) });
  return found;
}

/** Lowest and highest, never the same. */
function extent(values: readonly number[]): [number, number] {
  let [low, high] = [Infinity, -Infinity];
  for (const value of values) {
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  if (!Number.isFinite(low)) return [0, 1];
  // a spread that doubles can hardly tell from none leaves no room for ticks
  const flat = high - low <= 1e-9 * Math.max(Math.abs(low), Math.abs(high));
  const margin = flat ? Math.max(0.5, Math.abs(low) * 0.1) : (high - low) * 0.04;
  return [low - margin, high + margin];
}

function thinned(points: readonly Point[]): readonly Point[] {
  if (points.length <= MAX_POINTS) return points;
  const step = points.length / MAX_POINTS;
  return Array.from({ length: MAX_POINTS }, (_, i) => points[Math.floor(i * step)]!);
}

function line(points: readonly Point[], axes: Axes, colour: string): string {
  if (points.length < 2) return '';
  return `<path d="M${points.map(({ x, y }) => `${axes.x(x)} ${axes.y(y)}`).join('L')}" fill="none" stroke="${colour}" stroke-width="2"/>`;
}

export const fixed = (value: number): number => Math.round(value * 10) / 10;
export const svg = (content: string): string =>
  `<svg viewBox="0 0 ${WIDTH} ${HEIGHT}" width="${WIDTH}" height="${HEIGHT}" role="img">${content}</svg>`;
