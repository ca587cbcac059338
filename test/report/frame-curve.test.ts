import { expect, it } from 'vitest';
import { CURVE_HEADER, curveLines } from '../../src/report/curve-csv.js';
import { curvePlot } from '../../src/report/frame-curve.js';
import { curveStatistics } from '../../src/scoring/frame-curve.js';

const curveOf = (scores: readonly number[], times_s = scores.map((_, i) => i)) => ({
  window: 1,
  times_s,
  scores,
  ...curveStatistics(scores),
});

it('the plot has the whole scale, the five levels, the 5th percentile and the minimum', () => {
  const { svg, x } = curvePlot(curveOf([3, 2, 4]), [1, 5]);
  for (const text of ['>1<', '>5<', 'excellent', 'bad', '5th percentile', 'minimum']) expect(svg).toContain(text);
  expect(svg.match(/<rect/g)).toHaveLength(5);
  expect(x).toEqual([58, 242, 426]);
  // the ring of the minimum is at the second frame
  expect(svg).toContain(`<circle cx="242" cy="212.5" r="6"`);
});

it('the plot of one frame, of equal times, and of 600 frames has finite coordinates', () => {
  const long = Array.from({ length: 600 }, (_, i) => 1 + (i % 5));
  for (const curve of [curveOf([3]), curveOf([3, 2], [0, 0]), curveOf(long)]) {
    const { svg, x } = curvePlot(curve, [1, 5]);
    expect(svg).not.toMatch(/NaN|Infinity|undefined/);
    expect(x).toHaveLength(curve.scores.length);
    expect(svg.length).toBeLessThan(30_000);
  }
});

it('the lines of CSV have a line for each frame, with quoted names', () => {
  const result = { input: 'a,"b".mp4', task: 'quality', scale: 'mos5', model: { id: 'nano' } };
  expect(curveLines(result)).toEqual([]);
  const lines = curveLines({ ...result, frame_curve: curveOf([3.25, 2]) });
  expect(CURVE_HEADER.split(',')).toHaveLength(8);
  expect(lines).toEqual(['"a,""b"".mp4",quality,nano,mos5,1,0,0,3.25', '"a,""b"".mp4",quality,nano,mos5,1,1,1,2']);
});
