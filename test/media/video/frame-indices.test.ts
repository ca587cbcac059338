import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { evenIndices, sampling, samplingRate, type Rational } from '../../../src/media/video/frame-indices.js';
import { rateOfDuration } from '../../../src/media/video/probe-fallback.js';

describe('indices', () => {
  const listed = (rate: Rational, packets: number, perSecond?: number): number[] => {
    const { count, indexAt } = sampling(rate, packets, perSecond);
    return Array.from({ length: count }, (_, i) => indexAt(i));
  };
  const rates = fc
    .constantFrom([30000, 1001], [24000, 1001], [25, 1], [30, 1], [50, 1], [60000, 1001], [1, 1], [1, 2], [120, 1])
    .map(([numerator, denominator]) => ({ numerator, denominator }));
  const packetCounts = fc.integer({ min: 1, max: 20_000 });

  it('equal exact arithmetic at one picture per second, for every rate of clips', () => {
    fc.assert(
      fc.property(rates, packetCounts, ({ numerator, denominator }, packets) => {
        const [a, b] = [BigInt(numerator), BigInt(denominator)];
        const indices = listed({ numerator, denominator }, packets);
        expect(indices).toEqual(indices.map((_, i) => Number((BigInt(i) * a) / b)));
        expect(indices).toHaveLength(Number((BigInt(packets) * b) / a));
      }),
    );
  });

  it('are also exact for other rates', () => {
    const wanted = fc.tuple(fc.integer({ min: 1, max: 60 }), fc.integer({ min: 1, max: 30 }));
    fc.assert(
      fc.property(rates, fc.integer({ min: 1, max: 2000 }), wanted, ({ numerator, denominator }, packets, [p, q]) => {
        fc.pre(p !== q);
        const [a, b] = [BigInt(numerator) * BigInt(q), BigInt(denominator) * BigInt(p)];
        const exact = Array.from({ length: Number((BigInt(packets) * b) / a) }, (_, i) => Number((BigInt(i) * a) / b));
        expect(listed({ numerator, denominator }, packets, p / q)).toEqual(exact);
      }),
    );
  });

  it('rates are recovered from durations that Matroska truncates to nanoseconds', () => {
    const named = fc.oneof(
      rates,
      fc
        .constantFrom([25, 2], [1, 3], [17, 7], [15000, 1001], [120000, 1001], [999, 40], [1000, 1])
        .map(([numerator, denominator]) => ({ numerator, denominator })),
    );
    fc.assert(
      fc.property(named, (rate) => {
        expect(rateOfDuration(Math.floor((1e9 * rate.denominator) / rate.numerator))).toEqual(rate);
      }),
    );
  });

  it('samplingRate divides exactly', () => {
    expect(samplingRate({ numerator: 30000, denominator: 1001 }, 0.5)).toEqual({ numerator: 60000, denominator: 1001 });
    expect(samplingRate({ numerator: 25, denominator: 1 }, 2)).toEqual({ numerator: 25, denominator: 2 });
    expect(samplingRate({ numerator: 25, denominator: 1 }, 1 / 3)).toEqual({ numerator: 75, denominator: 1 });
    expect(samplingRate({ numerator: 25, denominator: 1 }, 29.97)).toEqual({ numerator: 2500, denominator: 2997 });
    expect(() => samplingRate({ numerator: 25, denominator: 1 }, 0)).toThrow(RangeError);
  });

  it('evenIndices keeps the first, the order and the count', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 500 }), fc.integer({ min: 1, max: 50 }), (count, most) => {
        const kept = evenIndices(count, most);
        expect(kept).toHaveLength(Math.min(most, count));
        expect(kept[0]).toBe(0);
        expect(kept.every((position, i) => position < count && (i === 0 || position > (kept[i - 1] ?? 0)))).toBe(true);
      }),
    );
  });
});
