import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { escape } from '../../src/report/escape.js';
import { heading, page, table } from '../../src/report/page.js';
import { matrix } from '../../src/report/matrix.js';
import { bars, lines, MAX_POINTS, scatter } from '../../src/report/plots.js';
import { reliabilityDiagram } from '../../src/report/reliability.js';

describe('page', () => {
  it('escapes all text', () => {
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

  it('aligns columns of numbers to the right', () => {
    expect(
      table(
        ['a', 'n'],
        [
          ['x', '1.0'],
          ['y', '–'],
        ],
      ),
    ).toBe(
      '<div class="wide"><table><thead><tr><th scope="col">a</th><th scope="col" class="n">n</th></tr></thead><tbody><tr><td class="t">x</td><td class="n">1.0</td></tr>\n<tr><td class="t">y</td><td class="n">–</td></tr></tbody></table></div>',
    );
  });

  it('labels every cell of a wide table, whose rows become blocks on narrow screens', () => {
    const html = table(['set', 'SRCC', 'PLCC'], [['a', '0.9', '0.8']]);
    expect(html).toContain('<table class="stack">');
    expect(html).toContain('data-head="PLCC">0.8<');
  });

  it('links to its sections, which have distinct names', () => {
    const html = page({ title: 't', body: `${heading(2, 'A & B')}${heading(2, 'Media')}${heading(3, 'Media')}` });
    const ids = [...html.matchAll(/ id="([^"]*)"/g)].map(([, id]) => id);
    expect(ids).toEqual(['a-b', 'media', 'media-2']);
    expect(html.match(/<nav .*<\/nav>/)?.[0].match(/href="#[^"]*"/g)).toEqual(['href="#a-b"', 'href="#media"']);
  });

  it('shows no folder of this machine, except in pictures', () => {
    const image = '<img src="data:image/png;base64,/tmp/a/b/c">';
    const html = page({ title: '/mnt/x/y', body: `${image}<p>/home/of jane/z.png</p>`, roots: ['/home/of jane'] });
    expect(html).toContain('<title>y</title>');
    expect(html).toContain('<p>z.png</p>');
    expect(html).toContain(image);
  });
});

describe('plots', () => {
  it('keep every point inside the frame at any size, and never write NaN', () => {
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

  it('limit the number of points', () => {
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
        xLabel: 'level',
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

  it('draw bars from zero, below it where values are negative', () => {
    const drawn = bars({
      names: ['bad', 'good'],
      series: [{ name: 'l', values: [-2, 4] }],
      xLabel: 'level',
      yLabel: 'logit',
    });
    const [negative, positive] = [...drawn.matchAll(/<rect [^>]*y="([^"]+)"[^>]*height="([^"]+)"/g)].map(
      ([, y, height]) => ({
        top: Number(y),
        bottom: Number(y) + Number(height),
      }),
    );
    expect(negative!.top).toBeCloseTo(positive!.bottom, 1);
    expect((negative!.bottom - negative!.top) * 2).toBeCloseTo(positive!.bottom - positive!.top, 0);
  });

  it('show accuracy over confidence, with counts, and omit empty intervals', () => {
    const bins = [
      { from: 0, to: 0.5, n: 0, confidence: 0, accuracy: 0 },
      { from: 0.5, to: 1, n: 7, confidence: 0.7, accuracy: 0.5 },
    ];
    const drawn = reliabilityDiagram(bins, { xLabel: 'confidence (0–1)', yLabel: 'accuracy (0–1)' });
    expect(drawn.match(/<rect/g)).toHaveLength(1);
    expect(drawn).toContain('>7</text>');
    expect(drawn).toContain('7 items, confidence 0.700, accuracy 0.500');
  });
});
