import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { argsort } from '../../../src/scoring/statistics/argsort.js';
import { bootstrap, interval95 } from '../../../src/scoring/statistics/bootstrap.js';
import { computeMetrics, confusion } from '../../../src/scoring/statistics/metrics.js';
import { plcc, srcc } from '../../../src/scoring/statistics/correlation.js';
import { krcc } from '../../../src/scoring/statistics/kendall.js';
import { fitLogistic, logisticAt } from '../../../src/scoring/statistics/logistic.js';
import { sfc32 } from '../../../src/base/random.js';
import { compareModels } from '../../../src/scoring/statistics/significance.js';

/** Pairs of a normal distribution with this correlation. */
function normalPairs(n: number, rho: number, seed: number): { x: Float64Array; y: Float64Array } {
  const random = sfc32(seed);
  const normal = (): number =>
    Math.sqrt(-2 * Math.log((random() + 1) / 2 ** 32)) * Math.cos((2 * Math.PI * random()) / 2 ** 32);
  const x = new Float64Array(n);
  const y = new Float64Array(n);
  for (let i = 0; i < n; i++) {
    x[i] = normal();
    y[i] = rho * x[i]! + Math.sqrt(1 - rho * rho) * normal();
  }
  return { x, y };
}

describe('argsort', () => {
  it('orders any number of doubles like a stable comparison sort', () => {
    const double = fc.oneof(fc.double({ noNaN: true, noDefaultInfinity: true }), fc.constantFrom(0, -0, 1, -1));
    fc.assert(
      fc.property(fc.array(double, { minLength: 1, maxLength: 50 }), (values) => {
        const many = Float64Array.from({ length: 5000 }, (_, i) => values[i % values.length]!);
        for (const list of [values, many]) {
          const expected = Array.from(list, (_, i) => i).sort((a, b) => list[a]! - list[b]! || a - b);
          expect([...argsort(list)]).toEqual(expected);
        }
      }),
      { numRuns: 40 },
    );
  });
});

describe('KRCC', () => {
  it('equals the count over all pairs', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.integer({ min: 0, max: 6 }), fc.integer({ min: 0, max: 6 })), {
          minLength: 2,
          maxLength: 40,
        }),
        (pairs) => {
          let [sum, nx, ny] = [0, 0, 0];
          pairs.forEach(([a, b], i) =>
            pairs.slice(0, i).forEach(([c, d]) => {
              sum += Math.sign(a - c) * Math.sign(b - d);
              nx += a === c ? 0 : 1;
              ny += b === d ? 0 : 1;
            }),
          );
          const tau = krcc(
            pairs.map(([a]) => a),
            pairs.map(([, b]) => b),
          );
          if (nx === 0 || ny === 0) expect(tau).toBeNaN();
          else expect(tau).toBeCloseTo(sum / Math.sqrt(nx * ny), 12);
        },
      ),
    );
  });
});

describe('the bootstrap', () => {
  it('computes every statistic on the drawn items: a one-item group drawn twice is that item twice', () => {
    const { x, y } = normalPairs(40, 0.7, 3);
    const groups = Uint32Array.from({ length: 40 }, (_, i) => i >> 2);
    const mapped = x.map((value) => 2 * value);
    const correct = x.map((value) => (value > 0 ? 1 : 0));
    const drawn = bootstrap(
      { scores: x, mos: y, mapped, correct, groups, groupCount: 10 },
      { srcc: 0, plcc: 0, plcc_logistic: 0, krcc: 0, rmse: 0, mean_correlation: 0, level_accuracy: 0 },
      { replicates: 20, seed: 5 },
    );
    // the same draws, computed by hand
    const random = sfc32(5);
    for (let b = 0; b < 20; b++) {
      const weights = new Array<number>(10).fill(0);
      for (let i = 0; i < 10; i++) weights[Math.floor((random() * 10) / 2 ** 32)]!++;
      const items = [...x.keys()].flatMap((i) => new Array<number>(weights[groups[i]!]!).fill(i));
      const take = (values: Float64Array): number[] => items.map((i) => values[i]!);
      expect(drawn.srcc[b]).toBeCloseTo(srcc(take(x), take(y)), 12);
      expect(drawn.plcc[b]).toBeCloseTo(plcc(take(x), take(y)), 12);
      expect(drawn.krcc[b]).toBeCloseTo(krcc(take(x), take(y)), 12);
      expect(drawn.plcc_logistic[b]).toBeCloseTo(plcc(take(mapped), take(y)), 12);
      expect(drawn.rmse[b]).toBeCloseTo(
        Math.sqrt(items.reduce((sum, i) => sum + (mapped[i]! - y[i]!) ** 2, 0) / items.length),
        12,
      );
      expect(drawn.level_accuracy[b]).toBeCloseTo(items.reduce((sum, i) => sum + correct[i]!, 0) / items.length, 12);
    }
  });

  it('covers the true correlation about 95 times in 100, also with a subsample of many items', () => {
    let covered = 0;
    for (let trial = 0; trial < 120; trial++) {
      const { x, y } = normalPairs(200, 0.6, 100 + trial);
      const interval = interval95(bootstrap({ scores: x, mos: y }, { plcc: plcc(x, y) }, { replicates: 200 }).plcc)!;
      if (interval[0] <= 0.6 && 0.6 <= interval[1]) covered += 1;
    }
    expect(covered).toBeGreaterThan(120 * 0.88);
    const { x, y } = normalPairs(100_000, 0.6, 1);
    const [low, high] = interval95(
      bootstrap({ scores: x, mos: y }, { plcc: plcc(x, y), krcc: krcc(x, y) }, { replicates: 400 }).plcc,
    )!;
    // the theoretical width: ±1.96 (1 − ρ²) / √n
    expect((high - low) / ((2 * 1.96 * (1 - 0.36)) / Math.sqrt(100_000))).toBeGreaterThan(0.85);
    expect((high - low) / ((2 * 1.96 * (1 - 0.36)) / Math.sqrt(100_000))).toBeLessThan(1.15);
    expect(low).toBeLessThan(plcc(x, y));
    expect(high).toBeGreaterThan(plcc(x, y));
  });

  it('is wider for items that are correlated in groups', () => {
    const { x, y } = normalPairs(50, 0.6, 9);
    const repeat = (values: Float64Array): Float64Array =>
      Float64Array.from({ length: 500 }, (_, i) => values[Math.floor(i / 10)]! + i * 1e-9);
    const [scores, mos] = [repeat(x), repeat(y)];
    const width = (groups?: string[]): number => {
      const [low, high] = computeMetrics({ scores, mos, groups }, { replicates: 300 }).intervals.srcc!;
      return high - low;
    };
    expect(width(Array.from({ length: 500 }, (_, i) => `picture ${Math.floor(i / 10)}`))).toBeGreaterThan(2 * width());
  });
});

describe('the bootstrap of many items in few groups', () => {
  it('keeps the groups: 20 pictures of 2000 items each are as uncertain as 20 of 400', () => {
    const width = (items: number): number[] => {
      const { x, y } = normalPairs(20 * items, 0.5, 4);
      const own = normalPairs(20, 0.3, 5);
      const add = (values: Float64Array, shift: Float64Array): Float64Array =>
        values.map((value, i) => 0.3 * value + shift[i % 20]!);
      const groups = Array.from({ length: 20 * items }, (_, i) => `picture ${i % 20}`);
      const { intervals } = computeMetrics({ scores: add(x, own.x), mos: add(y, own.y), groups }, { replicates: 100 });
      return [intervals.srcc!, intervals.krcc!].map(([low, high]) => high - low);
    };
    const [few, many] = [width(400), width(2000)];
    for (const i of [0, 1]) expect(Math.abs(Math.log(many[i]! / few[i]!))).toBeLessThan(0.25);
  });
});

describe('computeMetrics', () => {
  it('returns all metrics, repeatably, with intervals', () => {
    const { x, y } = normalPairs(300, 0.8, 2);
    const levels = { predicted: x.map((v) => (v > 0 ? 0 : 1)), actual: y.map((v) => (v > 0 ? 0 : 1)) };
    const metrics = computeMetrics({ scores: x, mos: y, levels });
    expect(metrics).toEqual(computeMetrics({ scores: x, mos: y, levels }));
    expect(metrics).toMatchObject({
      n: 300,
      groups: 300,
      srcc: srcc(x, y),
      plcc: plcc(x, y),
      krcc: krcc(x, y),
      replicates: 1000,
    });
    expect(metrics.mean_correlation).toBe((metrics.srcc! + metrics.plcc!) / 2);
    expect(metrics.plcc_logistic).toBeGreaterThanOrEqual(metrics.plcc! - 1e-3);
    expect(metrics.level_accuracy).toBeGreaterThan(0.7);
    for (const [name, interval] of Object.entries(metrics.intervals)) {
      const value = metrics[name as 'srcc']!;
      expect(interval![0], name).toBeLessThan(value);
      expect(interval![1], name).toBeGreaterThan(value);
    }
  });

  it('returns null, never NaN, for undefined metrics', () => {
    const metrics = computeMetrics({ scores: [2, 2, 2, 2, 2], mos: [1, 2, 3, 4, 5] });
    expect(metrics).toMatchObject({
      n: 5,
      srcc: null,
      plcc: null,
      krcc: null,
      plcc_logistic: null,
      rmse: null,
      level_accuracy: null,
      logistic: null,
    });
    expect(Object.values(metrics.intervals).every((interval) => interval === null)).toBe(true);
    expect(computeMetrics({ scores: [], mos: [] }).n).toBe(0);
    expect(fitLogistic([1, 2, 3], [1, 2, 3])).toBeUndefined();
  });

  it('evaluates a million predictions with intervals in under 10 s of processor time', () => {
    const { x, y } = normalPairs(1_000_000, 0.8, 4);
    const before = process.cpuUsage();
    const metrics = computeMetrics({
      scores: x,
      mos: y,
      levels: { predicted: x.map((v) => (v > 0 ? 0 : 1)), actual: y.map((v) => (v > 0 ? 0 : 1)) },
    });
    const { user, system } = process.cpuUsage(before);
    expect((user + system) / 1e6).toBeLessThan(10);
    expect(metrics.n).toBe(1_000_000);
    for (const interval of Object.values(metrics.intervals)) expect(interval).not.toBeNull();
  });
});

describe('the logistic of many pairs', () => {
  it('ends early if a line fits best and no minimum exists', () => {
    const random = sfc32(9);
    const x = Float64Array.from({ length: 200_000 }, () => random() / 2 ** 32);
    const y = x.map((v) => v + (random() / 2 ** 32 - 0.5) / 3);
    const fit = fitLogistic(x, y)!;
    expect(fit.iterations).toBeLessThanOrEqual(25);
    expect(
      Math.abs(
        plcc(
          x.map((v) => logisticAt(fit, v)),
          y,
        ) - plcc(x, y),
      ),
    ).toBeLessThan(1e-5);
  });
});

describe('compareModels', () => {
  it('finds a real difference, and none between equal models', () => {
    const { x, y } = normalPairs(400, 0.8, 6);
    const noise = normalPairs(400, 0, 7).x;
    const worse = x.map((value, i) => value + 1.5 * noise[i]!);
    const better = compareModels({ mos: y, first: x, second: worse }, { replicates: 500 });
    expect(better.differences.srcc).toMatchObject({ difference: srcc(x, y) - srcc(worse, y) });
    expect(better.differences.srcc!.p).toBeLessThan(0.01);
    expect(better.differences.srcc!.interval[0]).toBeGreaterThan(0);
    const like = x.map((value, i) => value + 0.02 * noise[i]!);
    expect(compareModels({ mos: y, first: x, second: like }, { replicates: 500 }).differences.srcc!.p).toBeGreaterThan(
      0.05,
    );
    expect(compareModels({ mos: y, first: x, second: x }, { replicates: 100 }).differences.plcc).toMatchObject({
      difference: 0,
      p: 1,
    });
    expect(() => compareModels({ mos: y, first: x, second: [1] })).toThrow(/1 and 400/);
  });
});

describe('confusion', () => {
  it('counts rows by actual level', () => {
    expect(confusion([0, 1, 1, 4], [0, 0, 1, 4], 5)[0]).toEqual([1, 1, 0, 0, 0]);
    expect(() => confusion([5], [0], 5)).toThrow(/position 0/);
  });
});
