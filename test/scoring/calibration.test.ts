import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { calibrate, fitCalibration, isotonic, reliability } from '../../src/scoring/calibration.js';
import { combine, fitWeights, standardOf } from '../../src/scoring/ensemble.js';
import { softmax, wordPairScore } from '../../src/scoring/score.js';

const logit = fc.double({ min: -60, max: 60, noNaN: true });
const pairs = fc.array(fc.tuple(fc.integer({ min: 0, max: 30 }), fc.double({ min: 0, max: 5, noNaN: true })), {
  minLength: 10,
  maxLength: 60,
});

describe("Q-Bench's two words", () => {
  it('are the two-level case of Eq. 4', () => {
    fc.assert(
      fc.property(logit, logit, (good, poor) => {
        expect(wordPairScore(good, poor)).toBeCloseTo(softmax([good, poor])[0]!, 14);
      }),
    );
  });
});

describe('calibration', () => {
  it('isotonic: never falls, keeps the mean, and no other non-decreasing function fits better', () => {
    fc.assert(
      fc.property(
        pairs,
        fc.array(fc.double({ min: -1, max: 1, noNaN: true }), { minLength: 60, maxLength: 60 }),
        (drawn, shifts) => {
          const [x, y] = [drawn.map(([a]) => a), drawn.map(([, b]) => b)];
          const curve = { method: 'isotonic' as const, ...isotonic(x, y) };
          for (let i = 1; i < curve.x.length; i++)
            expect(curve.x[i]! > curve.x[i - 1]! && curve.y[i]! >= curve.y[i - 1]!).toBe(true);
          const fitted = x.map((value) => calibrate(curve, value));
          expect(fitted.reduce((a, b) => a + b, 0)).toBeCloseTo(
            y.reduce((a, b) => a + b, 0),
            8,
          );
          const squares = (values: readonly number[]): number =>
            values.reduce((sum, value, i) => sum + (value - y[i]!) ** 2, 0);
          // any other non-decreasing function of the score: sorted noise around the fit
          const distinct = [...new Set(x)].sort((a, b) => a - b);
          const other = distinct
            .map((value, i) => calibrate(curve, value) + shifts[i % shifts.length]!)
            .sort((a, b) => a - b);
          expect(squares(fitted)).toBeLessThanOrEqual(
            squares(x.map((value) => other[distinct.indexOf(value)]!)) + 1e-9,
          );
        },
      ),
    );
  });

  it('logistic: recovers the curve of the data, and refuses falling data', () => {
    const x = Array.from({ length: 60 }, (_, i) => 1 + i / 15);
    const y = x.map((v) => 10 + 80 / (1 + Math.exp(-(v - 3) / 0.5)));
    const curve = fitCalibration(x, y, 'logistic');
    for (const v of [0, 2.2, 3, 4.9])
      expect(calibrate(curve, v)).toBeCloseTo(10 + 80 / (1 + Math.exp(-(v - 3) / 0.5)), 5);
    expect(() =>
      fitCalibration(
        x,
        y.map((v) => -v),
        'logistic',
      ),
    ).toThrow(/fall/);
    expect(() =>
      fitCalibration(
        x,
        y.map((v) => -v),
        'isotonic',
      ),
    ).toThrow(/fall/);
    expect(() => fitCalibration([1, 2], [1, 2], 'isotonic')).toThrow(/at least 10/);
  });

  it('reliability: no error for perfect predictions, the shift for shifted ones', () => {
    const mos = Array.from({ length: 97 }, (_, i) => (i * 31) % 97);
    expect(reliability(mos, mos).ece).toBeCloseTo(0, 12);
    const shifted = reliability(
      mos.map((v) => v + 2),
      mos,
    );
    expect(shifted.ece).toBeCloseTo(2, 12);
    expect(shifted.bins.reduce((sum, { n }) => sum + n, 0)).toBe(97);
  });
});

describe('an ensemble', () => {
  it('recovers the weights behind the MOS', () => {
    const a = Float64Array.from({ length: 200 }, (_, i) => Math.sin(i * 1.3));
    const b = Float64Array.from({ length: 200 }, (_, i) => 100 * Math.cos(i * 2.7));
    const standards = [standardOf(a), standardOf(b)];
    const mos = combine([a, b], standards, [0.7, 0.3]).map((v) => 50 + 10 * v);
    const weights = fitWeights([a, b], standards, mos);
    expect(weights[0]).toBeCloseTo(0.7, 10);
    expect(weights[1]).toBeCloseTo(0.3, 10);
  });

  it('gives no weight to a scorer that correlates negatively with the MOS, and refuses if all do', () => {
    const a = Float64Array.from({ length: 50 }, (_, i) => i);
    const down = a.map((v) => -v);
    const standards = [standardOf(a), standardOf(down)];
    expect(fitWeights([a, down], standards, a)).toEqual([1, 0]);
    expect(() => fitWeights([down], [standards[1]!], a)).toThrow(/rises with the MOS/);
    expect(() => standardOf([2, 2])).toThrow(/same score/);
  });
});
