import fc from 'fast-check';
import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { levelFinder, PAPER_RULE } from '../../src/scoring/level-conversion.js';
import { meanOf, rawLabel, softLabel, SOFT_LABEL_RULE } from '../../src/scoring/soft-labels.js';

interface Golden {
  cases: {
    name: string;
    density: 'pdf' | 'cdf';
    range: [number, number];
    min_std: number;
    max_error: number;
    rows: {
      mos: number;
      std: number;
      mos_norm: number;
      std_norm: number;
      raw: number[];
      level_probs: number[];
      level: string;
    }[];
  }[];
}

// the whole table if the shared folder exists, otherwise the excerpt in the repository
const shared = new URL('../../../shared/golden/deqa/soft_labels.json', import.meta.url);
const golden = JSON.parse(
  readFileSync(existsSync(shared) ? shared : new URL('../fixtures/datasets/soft_labels.json', import.meta.url), 'utf8'),
) as Golden;

describe('softLabel, published', () => {
  it.each(golden.cases.map((c) => [c.name, c] as const))('reproduces %s', (_, c) => {
    const range = { min: c.range[0], max: c.range[1] };
    const find = levelFinder(PAPER_RULE, range);
    for (const row of c.rows) {
      const probs = softLabel(row.mos, row.std, range, 5, {
        density: c.density,
        mode: 'published',
        minStd: c.min_std,
        maxError: c.max_error,
      });
      row.level_probs.forEach((p, i) => expect(Math.abs(probs[i]! - p)).toBeLessThan(1e-9));
      rawLabel(row.mos_norm, row.std_norm, 5, c.density).forEach((p, i) =>
        expect(Math.abs(p - row.raw[i]!)).toBeLessThan(1e-12 * Math.max(1, row.raw[i]!)),
      );
      expect(PAPER_RULE.names[find(row.mos)!]).toBe(row.level);
    }
  });
});

describe('softLabel, exact', () => {
  const range = { min: 0, max: 100 };

  it('sums to one and averages to the MOS, for every MOS, std, density and number of levels', () => {
    fc.assert(
      fc.property(
        fc.double({ min: 0, max: 100, noNaN: true }),
        fc.double({ min: 0, max: 60, noNaN: true }),
        fc.constantFrom('pdf' as const, 'cdf' as const),
        fc.integer({ min: 2, max: 9 }),
        (mos, std, density, levels) => {
          const probs = softLabel(mos, std, range, levels, { ...SOFT_LABEL_RULE, density });
          expect(probs).toHaveLength(levels);
          expect(probs.every((p) => p >= 0 && p <= 1)).toBe(true);
          expect(Math.abs(probs.reduce((a, b) => a + b) - 1)).toBeLessThan(1e-9);
          expect(Math.abs(meanOf(probs) - (((levels - 1) * mos) / 100 + 1))).toBeLessThan(1e-8);
        },
      ),
      { numRuns: 2000 },
    );
  });

  it('equals the published label if nothing was clipped', () => {
    const exact = softLabel(52, 20, range);
    const published = softLabel(52, 20, range, 5, { ...SOFT_LABEL_RULE, mode: 'published' });
    exact.forEach((p, i) => expect(Math.abs(p - published[i]!)).toBeLessThan(1e-7));
  });

  it('is mirrored when the scale is inverted, also at its middle', () => {
    for (const mos of [50, 50.0000001, 12, 33]) {
      const turned = softLabel(100 - mos, 22, range).reverse();
      softLabel(mos, 22, range).forEach((p, i) => expect(Math.abs(p - turned[i]!)).toBeLessThan(1e-6));
    }
    expect(softLabel(50, 22, range)[2]!).toBeGreaterThan(0.3);
  });

  it('shares the weight between two levels if the ratings agree', () => {
    expect(softLabel(75, 0, range)).toEqual([0, 1, 0, 0, 0]);
    expect(softLabel(100, 1, range)).toEqual([1, 0, 0, 0, 0]);
    expect(softLabel(62.5, 1, range)).toEqual([0, 0.5, 0.5, 0, 0]);
  });

  it('refuses a MOS outside its range and an invalid std', () => {
    expect(() => softLabel(101, 5, range)).toThrow(/101 is outside/);
    expect(() => softLabel(NaN, 5, range)).toThrow(/NaN/);
    expect(() => softLabel(10, -1, range)).toThrow(/-1/);
  });
});
