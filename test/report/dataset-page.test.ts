import { describe, expect, it } from 'vitest';
import { datasetPage, missingSentence, type DatasetReport, type MediaReport } from '../../src/report/dataset-page.js';

const media: MediaReport = {
  checked: 3000,
  missing: Array.from({ length: 3000 }, (_, i) => ({ id: `${i}.jpg`, message: `"media/${i}.jpg" does not exist.` })),
  corrupt: [],
  duplicated: [],
  odd_shape: [],
  sizes: [],
};
const report: DatasetReport = {
  title: 'made up',
  dataset: 'made-up',
  kind: 'image',
  task: 'quality',
  licence: null,
  source: null,
  files: [],
  level_names: ['excellent', 'good', 'fair', 'poor', 'bad'],
  soft_labels: 0,
  n: 4,
  splits: {
    train: {
      n: 4,
      n_all: 4,
      dropped_outside: 0,
      dropped_media: 0,
      range: [0, 100],
      levels: { excellent: 1, good: 0, fair: 1, poor: 0, bad: 2 },
      srcc: 0.9,
      plcc: 0.91,
      mos: { min: 3.123456, max: 91.123456, mean: 40.123456 },
      std_coverage: 1,
      on_edge: null,
    },
  },
  media,
  notes: [],
};
const html = datasetPage(report, {
  mos: { train: [3.123456, 10, 50, 91.123456] },
  std: { train: [1, 2, 3, 4] },
  edges: { train: [20, 40, 60, 80] },
  scale: [0, 100],
  examples: { bad: [{ id: 'a.jpg', mos: 3.123456, mos_std: 1.23456, image: 'data:image/jpeg;base64,AAAA' }] },
});

describe('the page of a data set', () => {
  it('names axes with scale, and levels and edges from low to high', () => {
    for (const label of ['MOS (0–100)', 'level', 'standard deviation of the ratings, in units of the MOS'])
      expect(html.includes(`>${label}</text>`), label).toBe(true);
    const texts = [...html.matchAll(/<text[^>]*>(bad|poor|fair|good|excellent|20|40|60|80)<\/text>/g)].map(
      ([, t]) => t,
    );
    expect(texts.join()).toContain('bad,poor,fair,good,excellent,20,40,60,80,bad,poor,fair,good,excellent');
    expect(html.indexOf('id="bad-2"')).toBeLessThan(html.indexOf('id="excellent-1"'));
  });

  it('writes a useful number of digits', () => {
    expect(html).toContain('>3.123<');
    expect(html).toContain('MOS 3.12 ± 1.23\na.jpg');
    expect(html).not.toContain('3.123456<');
  });

  it('distinguishes a level without records from one with unreadable pictures', () => {
    const under = (id: string): string => html.slice(html.indexOf(`id="${id}"`)).slice(0, 200);
    expect(under('good-0')).toContain('No record has this level.');
    expect(under('fair-1')).toContain('No image of this level could be shown.');
    expect(html).toContain('outside range');
  });

  it('counts missing files once, with one example', () => {
    expect(missingSentence(media)).toBe(
      'All 3000 media files are missing, for example that of 0.jpg: "media/0.jpg" does not exist.',
    );
    expect(html.match(/does not exist/g)).toHaveLength(1);
    expect(missingSentence({ ...media, missing: [] })).toBe('');
  });
});
