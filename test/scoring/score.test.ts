import fc from 'fast-check';
import { readFileSync, existsSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { LEVELS, LEVEL_VALUES, SCALES } from '../../src/scoring/levels.js';
import { logSumExp, scoreLogits } from '../../src/scoring/score.js';

const logit = fc.double({ min: -700, max: 700, noNaN: true });
/** Lowest and highest score of each scale. */
const SCALE_RANGES = { mos5: { min: 1, max: 5 }, unit: { min: 0, max: 1 }, percent: { min: 0, max: 100 } };
const five = fc.tuple(logit, logit, logit, logit, logit);

describe('scoreLogits', () => {
  it('gives the middle of the scale, full entropy and the first level for equal logits', () => {
    const result = scoreLogits([2, 2, 2, 2, 2], 2 + Math.log(10), 'mos5');
    expect(result.score).toBeCloseTo(3, 12);
    expect(result.level).toBe('excellent');
    expect(result.entropy).toBeCloseTo(Math.log(5), 12);
    expect(result.level_mass).toBeCloseTo(0.5, 12);
    expect(result.std).toBeCloseTo(Math.sqrt(2), 12);
  });

  it('returns the most probable level, not the nearest to the score', () => {
    // half excellent, half bad: the score is fair, but no level is
    const result = scoreLogits([5, -50, -50, -50, 4.9], 6, 'mos5');
    expect(Math.round(result.score)).toBe(3);
    expect(result.level).toBe('excellent');
  });

  it('is a distribution, inside the scale, stable and shift-invariant for any finite logits', () => {
    fc.assert(
      fc.property(
        five,
        fc.constantFrom(...SCALES),
        fc.double({ min: -100, max: 100, noNaN: true }),
        (logits, scale, shift) => {
          const lse = logSumExp(logits) + 0.5;
          const result = scoreLogits(logits, lse, scale);
          const sum = LEVELS.reduce((total, level) => total + result.level_probs[level], 0);
          expect(sum).toBeCloseTo(1, 12);
          expect(result.score).toBeGreaterThanOrEqual(SCALE_RANGES[scale].min);
          expect(result.score).toBeLessThanOrEqual(SCALE_RANGES[scale].max);
          expect(result.level_mass).toBeCloseTo(Math.exp(-0.5), 9);
          expect(result.entropy).toBeLessThanOrEqual(Math.log(5) + 1e-12);
          const shifted = scoreLogits(
            logits.map((value) => value + shift),
            lse + shift,
            scale,
          );
          expect(Math.abs(shifted.score - result.score)).toBeLessThan(1e-9 * SCALE_RANGES[scale].max);
        },
      ),
    );
  });

  it('is the same score on every scale', () => {
    fc.assert(
      fc.property(five, (logits) => {
        const [mos5, unit, percent] = SCALES.map((scale) => scoreLogits(logits, logSumExp(logits), scale)) as [
          ReturnType<typeof scoreLogits>,
          ReturnType<typeof scoreLogits>,
          ReturnType<typeof scoreLogits>,
        ];
        expect(unit.score).toBeCloseTo((mos5.score - 1) / 4, 12);
        expect(percent.score).toBeCloseTo(unit.score * 100, 9);
        expect(unit.std).toBeCloseTo(mos5.std / 4, 9);
        expect(mos5.level).toBe(percent.level);
      }),
    );
  });

  it('rises when a better level gains', () => {
    fc.assert(
      fc.property(
        fc.tuple(...Array.from({ length: 5 }, () => fc.double({ min: -20, max: 20, noNaN: true }))),
        fc.double({ min: 0.1, max: 5, noNaN: true }),
        (logits, gain) => {
          const before = scoreLogits(logits, logSumExp(logits), 'mos5').score;
          const after = scoreLogits(
            [(logits[0] as number) + gain, ...logits.slice(1)],
            logSumExp(logits) + gain,
            'mos5',
          ).score;
          expect(after).toBeGreaterThanOrEqual(before - 1e-12);
        },
      ),
    );
  });

  it.each([[[1, 2, 3, 4]], [[1, 2, 3, 4, NaN]], [[1, 2, 3, 4, Infinity]]])('refuses %j', (logits) => {
    expect(() => scoreLogits(logits, 10, 'mos5')).toThrow(RangeError);
  });

  it('has evenly spaced values, best first', () => {
    for (const scale of SCALES) {
      const values = LEVEL_VALUES[scale];
      const step = (values[0] - values[4]) / 4;
      values.forEach((value, i) => expect(value).toBeCloseTo(values[0] - i * step, 12));
      expect([values[4], values[0]]).toEqual([SCALE_RANGES[scale].min, SCALE_RANGES[scale].max]);
    }
  });
});

const GOLDEN = [
  '../shared/golden/tiny_a/scores.json',
  '../shared/golden/tiny_b/scores.json',
  'test/fixtures/golden/tiny_a/scores.json',
].map((path) => new URL(`../../${path}`, import.meta.url));

describe('scores of the published implementation', () => {
  for (const file of GOLDEN) {
    if (!existsSync(file)) console.warn(`NOT RUN: needs ${file.pathname}`);
    it.skipIf(!existsSync(file))(`reproduces ${file.pathname.slice(-40)}`, () => {
      const { cases } = JSON.parse(readFileSync(file, 'utf8')) as {
        cases: { level_logits: number[]; level_probs: number[]; level_mass: number; score_mos5: number }[];
      };
      expect(cases.length).toBeGreaterThan(3);
      for (const one of cases) {
        const lse = logSumExp(one.level_logits) - Math.log(one.level_mass);
        const result = scoreLogits(one.level_logits, lse, 'mos5');
        expect(Math.abs(result.score - one.score_mos5)).toBeLessThan(1e-6);
        LEVELS.forEach((level, i) =>
          expect(Math.abs(result.level_probs[level] - (one.level_probs[i] as number))).toBeLessThan(1e-6),
        );
        expect(Math.abs(result.level_mass - one.level_mass)).toBeLessThan(1e-9);
      }
    });
  }
});
