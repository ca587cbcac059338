import { createAxes, fixed, svg } from './plots.js';

export interface Bins {
  readonly from: number;
  readonly to: number;
  readonly counts: readonly number[];
}

/** Equal bins over the extremes of the values; the last bin includes its upper end. One bin where all are equal. */
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

/** How often values occur. `marks` are lines across at values, such as the edges of levels. */
export function histogram(
  values: ArrayLike<number>,
  {
    xLabel,
    yLabel,
    marks = [],
    bins = 40,
  }: { xLabel: string; yLabel: string; marks?: readonly number[]; bins?: number },
): string {
  const found = binned(values, bins);
  // equal values stand in the middle of a unit
  const [from, to] = found.from < found.to ? [found.from, found.to] : [found.from - 0.5, found.to + 0.5];
  const axes = createAxes([from, to], [0, Math.max(1, ...found.counts) * 1.05], xLabel, yLabel);
  const step = (to - from) / found.counts.length;
  const bars = found.counts.map((count, i) => {
    const [low, high] = [from + i * step, from + (i + 1) * step];
    const left = axes.x(low);
    return `<rect x="${left}" y="${axes.y(count)}" width="${fixed(Math.max(0.5, axes.x(high) - left - 1))}" height="${fixed(axes.y(0) - axes.y(count))}" fill="var(--mark)"><title>${short(low)} to ${short(high)}: ${count}</title></rect>`;
  });
  const lines = marks
    .filter((mark) => mark > from && mark < to)
    .map(
      (mark) =>
        `<path d="M${axes.x(mark)} ${axes.y(0)}V12" stroke="var(--second)" stroke-dasharray="4 3"><title>${short(mark)}</title></path>`,
    );
  return svg([axes.frame, ...bars, ...lines].join(''));
}

function short(value: number): string {
  return String(Number(value.toPrecision(4)));
}
