import { createAxes, EDGE, fixed, HEIGHT, label, svg, WIDTH } from './axes.js';

export interface Bins {
  readonly from: number;
  readonly to: number;
  readonly counts: readonly number[];
}

/** Bins of equal width over the range of the values. The last bin includes its upper end. Equal values give one bin. */
export function binned(values: ArrayLike<number>, bins = 40): Bins {
  let [from, to] = [Infinity, -Infinity];
  for (let i = 0; i < values.length; i++) {
    from = Math.min(from, values[i]!);
    to = Math.max(to, values[i]!);
  }
  if (values.length === 0) return { from: 0, to: 0, counts: [0] };
  if (from === to) return { from, to, counts: [values.length] };
  const counts = new Array<number>(bins).fill(0);
  for (let i = 0; i < values.length; i++)
    counts[Math.min(bins - 1, Math.floor(((values[i]! - from) / (to - from)) * bins))]!++;
  return { from, to, counts };
}

export interface HistogramOptions {
  readonly xLabel: string;
  readonly yLabel: string;
  /** Values at which lines are drawn, such as the edges of levels. */
  readonly marks?: readonly number[];
  /** Names of the parts between the marks, one more than marks. */
  readonly parts?: readonly string[];
  readonly bins?: number;
  /** Range that the axis must include, such as the range of the levels. */
  readonly range?: readonly [number, number] | undefined;
}

/** A histogram of the values, as SVG. */
export function histogram(values: ArrayLike<number>, { bins = 40, ...options }: HistogramOptions): string {
  return histogramOf(binned(values, bins), options);
}

/** A histogram of values that were counted before, as SVG. */
export function histogramOf(
  found: Bins,
  { xLabel, yLabel, marks = [], parts = [], range }: Omit<HistogramOptions, 'bins'>,
): string {
  // equal values are in the middle of a range of 1
  const [from, to] = found.from < found.to ? [found.from, found.to] : [found.from - 0.5, found.to + 0.5];
  const ends =
    range === undefined ? ([from, to] as const) : ([Math.min(from, range[0]), Math.max(to, range[1])] as const);
  const axes = createAxes({ x: ends, y: [0, Math.max(1, ...found.counts) * 1.05], xLabel, yLabel });
  const step = (to - from) / found.counts.length;
  const bars = found.counts.map((count, i) => {
    const [low, high] = [from + i * step, from + (i + 1) * step];
    const left = axes.x(low);
    return `<rect x="${left}" y="${axes.y(count)}" width="${fixed(Math.max(0.5, axes.x(high) - left - 1))}" height="${fixed(axes.y(0) - axes.y(count))}" fill="var(--mark)"><title>${short(low)} to ${short(high)}: ${count}</title></rect>`;
  });
  return svg([axes.frame, ...bars, edges(marks, parts, ends, axes.x)].join(''), `${yLabel} by ${xLabel}`);
}

/** A dashed line with its value at each mark, and the names of the parts above the frame if they fit. */
function edges(
  marks: readonly number[],
  parts: readonly string[],
  [from, to]: readonly [number, number],
  x: (value: number) => number,
): string {
  const inside = marks.filter((mark) => mark > from && mark < to);
  const lines = inside.map(
    (mark) =>
      `<path d="M${x(mark)} ${HEIGHT - EDGE.bottom}V${EDGE.top}" stroke="var(--second)" stroke-dasharray="4 3"><title>${short(mark)}</title></path>`,
  );
  const borders = [
    EDGE.left,
    ...marks.map((mark) => Math.min(WIDTH - EDGE.right, Math.max(EDGE.left, x(mark)))),
    WIDTH - EDGE.right,
  ];
  const names = parts.flatMap((name, i) => {
    const [left, right] = [borders[i] ?? 0, borders[i + 1] ?? 0];
    return right - left > 6.5 * name.length ? [label((left + right) / 2, 11, name, { strong: true })] : [];
  });
  const values = inside.flatMap((mark, i) =>
    i > 0 && x(mark) - x(inside[i - 1]!) < 34 ? [] : [label(x(mark), 24, short(mark))],
  );
  return [...lines, ...names, ...values].join('');
}

/** A number with `digits` significant digits, without trailing zeros. */
export function short(value: number, digits = 4): string {
  return String(Number(value.toPrecision(digits))).replace('-', '−');
}
