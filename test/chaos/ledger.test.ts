import { describe, expect, it } from 'vitest';
import { growth } from './gauges.js';
import { noCounts, randomOf, settle } from './ledger.js';

describe('the ledger of the chaos run', () => {
  const known = new Map([['a.jpg', 3]]);
  const settled = (ids: string[], answers: Parameters<typeof settle>[2]) => {
    const counts = noCounts();
    settle(counts, ids, answers, known);
    return counts;
  };

  it('distinguishes correct, failed, lost, duplicate and wrong answers', () => {
    const answers = [
      { input: '0-0-a.jpg', score: 3.000001 },
      { input: '0-1-a.jpg', error: {} },
      { input: '0-2-a.jpg', score: 3 },
      { input: '0-2-a.jpg', score: 3 },
      { input: '0-3-a.jpg', score: 3.1 },
    ];
    const ids = [0, 1, 2, 3, 4].map((i) => `0-${i}-a.jpg`);
    expect(settled(ids, answers)).toEqual({ asked: 5, right: 1, failed: 1, cut: 0, lost: 1, twice: 1, wrong: 1 });
    expect(settled([], answers.slice(0, 1)).wrong).toBe(1);
    expect(settled(['0-0-a.jpg'], [{ input: '0-0-a.jpg', score: Number.NaN }]).wrong).toBe(1);
  });

  it('has the same schedule for the same seed', () => {
    const [a, b, c] = [randomOf(1), randomOf(1), randomOf(2)];
    const values = [a, b, c].map((random) => [random(), random(), random()]);
    expect(values[0]).toEqual(values[1]);
    expect(values[0]).not.toEqual(values[2]);
  });

  it('compares the last quarter with the second', () => {
    const samples = [1, 10, 10, 11].flatMap((mb) => [0, 0].map(() => ({ descriptors: 5, threads: 2, mb })));
    expect(growth(samples)).toEqual({ descriptors: 1, threads: 1, mb: 1.1 });
    expect(growth(samples.slice(0, 3))).toBeUndefined();
  });
});
