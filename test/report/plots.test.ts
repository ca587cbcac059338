import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { escape, page, table } from '../../src/report/page.js';
import { bars, lines, matrix, MAX_POINTS, scatter } from '../../src/report/plots.js';

describe('page', () => {
  it('lets no text become markup', () => {
    const hostile = `<img src=x onerror="alert(1)">&'`;
    expect(escape(hostile)).toBe('&lt;img src=x onerror=&quot;alert(1)&quot;&gt;&amp;&#39;');
    const html = page({
      title: hostile,
      body:
        table([hostile], [[hostile]]) +
        scatter({ points: [{ x: 1, y: 1, label: hostile }], xLabel: hostile, yLabel: hostile }),
    });
    expect(html).not.toContain('<img');
    expect(html).toContain("default-src 'none'");
  });

  it('sets columns of numbers to the right', () => {
    expect(
      table(
        ['a', 'n'],
        [
          ['x', '1.0'],
          ['y', '–'],
        ],
      ),
    ).toBe(
      '<div class="wide"><table><thead><tr><th>a</th><th class="n">n</th></tr></thead><tbody><tr><td>x</td><td class="n">1.0</td></tr>\n<tr><td>y</td><td class="n">–</td></tr></tbody></table></div>',
    );
  });
});

describe('plots', () => {
  it('keep every point inside the frame, whatever its size, and never write NaN', () => {
    const value = fc.oneof(fc.double({ min: -1e12, max: 1e12, noNaN: true }), fc.constant(0));
    fc.assert(
      fc.property(fc.array(fc.record({ x: value, y: value }), { maxLength: 20 }), (points) => {
        const drawn =
          scatter({ points, curve: (x) => x / 2, xLabel: 'score', yLabel: 'MOS' }) +
          lines({ series: [{ name: 'a', points }], xLabel: 'x', yLabel: 'y' });
        expect(drawn).not.toMatch(/NaN|Infinity|undefined/);
        for (const [, cx, cy] of drawn.matchAll(/cx="([^"]+)" cy="([^"]+)"/g)) {
          expect(Number(cx)).toBeGreaterThanOrEqual(51.9);
          expect(Number(cx)).toBeLessThanOrEqual(428.1);
          expect(Number(cy)).toBeGreaterThanOrEqual(11.9);
          expect(Number(cy)).toBeLessThanOrEqual(280.1);
        }
      }),
      { numRuns: 100 },
    );
  });

  it('draw at most so many points', () => {
    const points = Array.from({ length: 10 * MAX_POINTS }, (_, i) => ({ x: i, y: i }));
    expect(scatter({ points, xLabel: '', yLabel: '' }).match(/<circle/g)).toHaveLength(MAX_POINTS);
  });

  it('show counts of levels', () => {
    expect(
      bars({
        names: ['good', 'bad'],
        series: [
          { name: 'MOS', values: [3, 0] },
          { name: 'score', values: [1, 2] },
        ],
        yLabel: 'items',
      }).match(/<rect/g),
    ).toHaveLength(4);
    expect(
      matrix({
        rows: ['a', 'b'],
        columns: ['a', 'b'],
        values: [
          [7, 0],
          [1, 2],
        ],
        rowLabel: 'MOS',
        columnLabel: 'model',
      }),
    ).toContain('>7</text>');
  });
});
