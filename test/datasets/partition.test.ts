import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { apportion, partition, samplePositions } from '../../src/datasets/partition.js';
import { questionPicker } from '../../src/datasets/questions.js';

const LEVELS = ['excellent', 'good', 'fair', 'poor', 'bad'];
const items = fc
  .array(fc.record({ level: fc.constantFrom(...LEVELS) }), { minLength: 10, maxLength: 400 })
  .map((list) => list.map(({ level }, i) => ({ id: `${i}`, level })));

describe('apportion', () => {
  it('returns integers with the right sum, each less than one away from its share', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 1000 }), { minLength: 1, maxLength: 9 }),
        fc.integer({ min: 0, max: 5000 }),
        (shares, total) => {
          const counts = apportion(shares, total);
          const sum = shares.reduce((a, b) => a + b);
          expect(counts.reduce((a, b) => a + b)).toBe(total);
          counts.forEach((count, i) => expect(Math.abs(count - (shares[i]! / sum) * total)).toBeLessThan(1));
        },
      ),
    );
  });
});

describe('partition', () => {
  it('puts every record into one part of the requested size, with the level distribution of all records', () => {
    fc.assert(
      fc.property(items, fc.integer({ min: 1, max: 9 }), fc.integer({ min: 0, max: 99 }), (records, dev, seed) => {
        const parts = partition(records, { dev, train: 'rest' }, seed);
        expect(parts.filter((part) => part === 'dev')).toHaveLength(dev);
        expect(parts.filter((part) => part === 'train')).toHaveLength(records.length - dev);
        for (const level of LEVELS) {
          const all = records.filter((record) => record.level === level).length;
          const taken = records.filter((record, i) => record.level === level && parts[i] === 'dev').length;
          expect(Math.abs(taken - (dev * all) / records.length)).toBeLessThan(2);
        }
        expect(partition(records, { dev, train: 'rest' }, seed)).toEqual(parts);
      }),
    );
  });

  it('never splits the pictures of one reference', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 2, max: 30 }),
        fc.integer({ min: 1, max: 12 }),
        fc.integer(),
        (groups, each, seed) => {
          const records = Array.from({ length: groups * each }, (_, i) => ({
            id: `${i}`,
            level: LEVELS[i % 5]!,
            group: `g${i % groups}`,
          }));
          const parts = partition(records, { train: 0.5, test: 0.5 }, seed);
          const owner = new Map<string, string>();
          records.forEach(({ group }, i) => {
            expect(owner.get(group) ?? parts[i]).toBe(parts[i]);
            owner.set(group, parts[i]!);
          });
          expect(Math.abs([...owner.values()].filter((part) => part === 'train').length - groups / 2)).toBeLessThan(1);
        },
      ),
    );
  });

  it('accepts shares with a sum of one, except for rounding, and any number of records', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 10, max: 500 }),
        fc.constantFrom([0.8, 0.2], [0.7, 0.1, 0.2], [0.6, 0.3, 0.1]),
        fc.boolean(),
        (n, shares, grouped) => {
          const records = Array.from({ length: n }, (_, i) => ({
            id: `${i}`,
            level: LEVELS[i % 3]!,
            ...(grouped ? { group: `g${i}` } : {}),
          }));
          const parts = partition(records, Object.fromEntries(shares.map((share, i) => [`p${i}`, share])), 1);
          shares.forEach((share, i) =>
            expect(Math.abs(parts.filter((part) => part === `p${i}`).length - share * n)).toBeLessThan(1),
          );
        },
      ),
    );
  });

  it('refuses sizes that contradict each other', () => {
    const records = Array.from({ length: 10 }, (_, i) => ({ id: `${i}`, level: 'good' }));
    expect(() => partition(records, { a: 0.5, b: 0.3 }, 0)).toThrow(/0\.8 of the 10 records/);
    expect(() => partition(records, { a: 20, b: 'rest' }, 0)).toThrow(/need 20 records, but there are only 10/);
    expect(() => partition(records, { a: 'rest', b: 'rest' }, 0)).toThrow(/More than one part/);
    expect(() => partition(records, { a: 0.01, b: 'rest' }, 0)).toThrow(/a would be empty/);
    expect(() => partition([...records, { id: 'x', level: 'bad', group: 'g' }], { a: 0.5, b: 0.5 }, 0)).toThrow(
      /for all records or for none/,
    );
  });
});

describe('samplePositions', () => {
  it('takes the requested number, in order, in the proportions of the levels', () => {
    fc.assert(
      fc.property(items, fc.integer({ min: 1, max: 10 }), fc.integer(), (records, count, seed) => {
        const positions = samplePositions(records, count, { seed, stratify: true });
        expect(positions).toHaveLength(count);
        expect(new Set(positions).size).toBe(count);
        expect([...positions].sort((a, b) => a - b)).toEqual(positions);
        for (const level of LEVELS) {
          const all = records.filter((record) => record.level === level).length;
          expect(
            Math.abs(positions.filter((at) => records[at]!.level === level).length - (count * all) / records.length),
          ).toBeLessThan(1);
        }
      }),
    );
  });
});

describe('questionPicker', () => {
  it('uses all questions equally often, in an order given by the seed', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 0, max: 200 }), fc.nat(), (n, draws, seed) => {
        const questions = Array.from({ length: n }, (_, i) => `q${i}`);
        const next = questionPicker(questions, seed);
        const drawn = Array.from({ length: draws }, () => next());
        const counts = questions.map((question) => drawn.filter((each) => each === question).length);
        expect(Math.max(...counts) - Math.min(...counts)).toBeLessThanOrEqual(1);
      }),
    );
  });
});
