import fc from 'fast-check';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { plcc, rmse, srcc } from '../../../src/scoring/statistics/correlation.js';
import { krcc } from '../../../src/scoring/statistics/kendall.js';
import { fitLogistic, logisticAt } from '../../../src/scoring/statistics/logistic.js';

interface Expected {
  readonly srcc: number | null;
  readonly plcc: number | null;
  readonly krcc: number | null;
  readonly rmse: number | null;
  readonly logistic?: { readonly plcc: number; readonly sum_of_squares: number } | null;
}
interface Case {
  readonly x: readonly number[];
  readonly y: readonly number[];
  readonly fit?: boolean;
}

const folder = new URL('../../fixtures/metrics/', import.meta.url);
const { cases, formulas } = JSON.parse(readFileSync(new URL('scipy_cases.json', folder), 'utf8')) as {
  cases: (Case & { name: string; expected: Expected })[];
  formulas: { n: number; ties: number; expected: Expected }[];
};

const METRICS = { srcc, plcc, krcc, rmse };

function expectEqual({ x, y }: { x: ArrayLike<number>; y: ArrayLike<number> }, expected: Expected): void {
  for (const [name, metric] of Object.entries(METRICS) as [keyof typeof METRICS, typeof srcc][]) {
    const ours = metric(x, y);
    const theirs = expected[name];
    if (theirs === null) expect(Number.isFinite(ours), `${name} is ${ours}`).toBe(false);
    else
      expect(Math.abs(ours - theirs), `${name}: ${ours} and ${theirs}`).toBeLessThanOrEqual(
        1e-12 * Math.max(1, name === 'rmse' ? theirs : 1),
      );
  }
}

function expectFit({ x, y }: Case, theirs: NonNullable<Expected['logistic']>): void {
  const fit = fitLogistic(x, y);
  expect(fit?.sum_of_squares).toBeLessThanOrEqual(theirs.sum_of_squares * (1 + 1e-9));
  const mapped = x.map((value) => logisticAt(fit!, value));
  expect(
    Math.abs(mapped.reduce((sum, value, i) => sum + (value - y[i]!) ** 2, 0) / fit!.sum_of_squares - 1),
  ).toBeLessThan(1e-9);
  // a curve that fits better than SciPy's correlates better, an equal curve equally
  if (fit!.sum_of_squares > theirs.sum_of_squares * (1 - 1e-9)) expect(plcc(mapped, y)).toBeCloseTo(theirs.plcc, 7);
  else expect(plcc(mapped, y)).toBeGreaterThan(theirs.plcc - 1e-7);
}

describe('the logistic curve', () => {
  it('never fits a monotone list worse than a line, and returns only finite numbers', () => {
    const value = fc.oneof(fc.integer({ min: -5, max: 5 }), fc.double({ min: -1e3, max: 1e3, noNaN: true }));
    fc.assert(
      fc.property(
        fc.array(fc.tuple(value, value), { minLength: 4, maxLength: 40 }),
        fc.constantFrom(1, -1),
        (drawn, sign) => {
          const x = drawn.map(([v]) => v).sort((a, b) => a - b);
          const y = drawn.map(([, v]) => v).sort((a, b) => sign * (a - b));
          const fit = fitLogistic(x, y);
          const r = plcc(x, y);
          if (fit === undefined) return expect(r).toBeNaN();
          const total = y.reduce((sum, v) => sum + (v - y.reduce((a, b) => a + b) / y.length) ** 2, 0);
          expect(fit.sum_of_squares).toBeLessThanOrEqual((1 - r * r) * total + 1e-9 * total);
          expect(x.every((v) => Number.isFinite(logisticAt(fit, v)))).toBe(true);
        },
      ),
      { numRuns: 200, seed: 8 },
    );
  });
});

describe('the metrics equal SciPy to 1e-12', () => {
  it.each(cases.map((c) => [c.name, c] as const))('%s', (_, one) => {
    expectEqual(one, one.expected);
    if (one.expected.logistic) expectFit(one, one.expected.logistic);
  });

  it.each(formulas.map((f) => [f.n, f] as const))('%i pairs', (_, { n, ties, expected }) => {
    const x = Float64Array.from({ length: n }, (_, i) => (i * 7919) % 100003);
    const y = x.map((value, i) => Math.floor((value + ((i * 104729) % 50021)) / ties));
    expectEqual({ x: x.map((value) => Math.floor(value / ties)), y }, expected);
  });
});

const python = process.env['QALIGN_PYTHON'] ?? 'python3';
const hasSciPy = spawnSync(python, ['-c', 'import scipy'], { stdio: 'ignore' }).status === 0;
if (!hasSciPy)
  console.warn(
    `NOT RUN: the comparison with SciPy itself needs it: ${python} -m pip install scipy; the fixed cases were compared`,
  );

describe.skipIf(!hasSciPy)('the installed SciPy', () => {
  const ask = (asked: readonly Case[]): Expected[] => {
    const answer = spawnSync(python, [fileURLToPath(new URL('scipy_reference.py', folder))], {
      input: JSON.stringify(asked),
      encoding: 'utf8',
      maxBuffer: 1 << 28,
    });
    if (answer.status !== 0) throw new Error(answer.stderr);
    return JSON.parse(answer.stdout) as Expected[];
  };

  it('agrees on 500 drawn lists: ties, constants, all magnitudes, offsets', () => {
    const scale = fc.tuple(fc.constantFrom(1e-310, 1e-100, 1e-3, 1, 1e6, 1e100), fc.constantFrom(0, 0, 1e6, 1e13)).map(
      ([size, offset]) =>
        (v: number) =>
          (v + offset) * size,
    );
    const value = fc.oneof(
      fc.integer({ min: -3, max: 3 }),
      fc.integer({ min: -1000, max: 1000 }),
      fc.double({ min: -1, max: 1, noNaN: true }),
    );
    const drawn = fc.sample(
      fc.tuple(fc.array(fc.tuple(value, value), { minLength: 2, maxLength: 120 }), scale, scale),
      { numRuns: 500, seed: 20261124 },
    );
    const asked = drawn.map(([pairs, a, b]) => ({ x: pairs.map(([v]) => a(v)), y: pairs.map(([, v]) => b(v)) }));
    const answers = ask(asked);
    expect(answers).toHaveLength(500);
    asked.forEach((one, i) => expectEqual(one, answers[i]!));
  });

  it('agrees on the logistic curve of 60 noisy sigmoids', () => {
    const noise = fc.array(fc.double({ min: -1, max: 1, noNaN: true }), { minLength: 40, maxLength: 40 });
    const drawn = fc.sample(
      fc.tuple(noise, fc.double({ min: 0.3, max: 1.5, noNaN: true }), fc.double({ min: 2, max: 4, noNaN: true })),
      { numRuns: 60, seed: 7 },
    );
    const asked = drawn.map(([errors, width, middle]) => {
      const x = errors.map((_, i) => 1 + i / 10);
      return { x, y: x.map((v, i) => 10 + 80 / (1 + Math.exp(-(v - middle) / width)) + 6 * errors[i]!), fit: true };
    });
    const answers = ask(asked);
    let compared = 0;
    asked.forEach((one, i) => {
      const theirs = answers[i]!.logistic;
      if (!theirs) return;
      expectFit(one, theirs);
      compared += 1;
    });
    expect(compared).toBeGreaterThan(50);
  });
});
