import { createAxes, EDGE, fixed, label, svg, WIDTH } from './axes.js';
import { escape } from './escape.js';
import { line } from './plots.js';

/** The part of a frame curve that is drawn. */
export interface Curve {
  readonly times_s: readonly number[];
  readonly scores: readonly number[];
  readonly p5: number;
  readonly min: number;
  readonly worst: readonly number[];
}

/** Worst level first: five equal parts of the scale, as in the conversion of ratings to levels. */
const BANDS = ['bad', 'poor', 'fair', 'good', 'excellent'];
/** With more frames, the points would touch each other. */
const MOST_DOTS = 150;

/** The drawing of a curve, and the horizontal position of each frame in it. */
export interface CurvePlot {
  readonly svg: string;
  readonly x: readonly number[];
}

/**
 * Draws the scores of the frames of a clip over time, on the whole scale. The line is not smoothed. Behind it are the
 * bands of the levels; the 5th percentile and the minimum are marked.
 *
 * @param range the lowest and the highest score of the scale
 */
export function curvePlot(curve: Curve, [low, high]: readonly [number, number]): CurvePlot {
  const { times_s, scores, p5, min, worst } = curve;
  const [start, end] = [times_s[0] ?? 0, times_s.at(-1) ?? 0];
  const axes = createAxes({
    x: [start, end > start ? end : start + 1],
    y: [low, high],
    xLabel: 'time in the clip (s)',
    yLabel: `score (${low}–${high})`,
  });
  const points = scores.map((y, at) => ({ x: times_s[at] ?? 0, y }));
  const right = WIDTH - EDGE.right;
  const bands = BANDS.map((name, at) => {
    const [from, to] = [at, at + 1].map((part) => axes.y(low + (part / BANDS.length) * (high - low))) as [
      number,
      number,
    ];
    const fill = `<rect x="${EDGE.left}" y="${to}" width="${right - EDGE.left}" height="${fixed(from - to)}" fill="var(--l-${name}, var(--line))" fill-opacity="${at % 2 === 0 ? 0.16 : 0.08}"/>`;
    return `${fill}${label(right - 6, to + 15, name, { anchor: 'end' })}`;
  });
  const dots = points.map(
    ({ x, y }, at) =>
      `<circle cx="${axes.x(x)}" cy="${axes.y(y)}" r="2.6" fill="var(--mark)"><title>${escape(`${x.toFixed(2)} s: ${scores[at]?.toFixed(3)}`)}</title></circle>`,
  );
  const lowest = `<circle cx="${axes.x(times_s[worst[0] ?? 0] ?? 0)}" cy="${axes.y(min)}" r="6" fill="none" stroke="var(--second)" stroke-width="2"/>`;
  const percentile = `<path d="M${EDGE.left} ${axes.y(p5)}H${right}" stroke="var(--second)" stroke-width="1.5" stroke-dasharray="6 4"/>`;
  const legend = `<text x="${EDGE.left}" y="15"><tspan fill="var(--mark)">— score</tspan><tspan fill="var(--second)" dx="14">- - 5th percentile</tspan><tspan fill="var(--second)" dx="14">○ minimum</tspan></text>`;
  const content = [
    ...[...bands, axes.frame, percentile, line(points, axes, 'var(--mark)')],
    ...(points.length > MOST_DOTS ? [] : dots),
    ...[lowest, legend],
  ];
  return { svg: svg(content.join(''), 'Scores of the frames over time'), x: points.map(({ x }) => axes.x(x)) };
}
