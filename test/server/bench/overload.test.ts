import { describe, expect, it } from 'vitest';
import { steadyRate } from '../../../src/server/bench/overload.js';

function measured(rates: readonly number[]): { measure: () => Promise<number>; count: () => number } {
  let next = 0;
  return { measure: async () => rates[Math.min(next++, rates.length - 1)] as number, count: () => next };
}

describe('capacity of a service', () => {
  it('waits until a cold service is at its speed', async () => {
    const { measure, count } = measured([2.7, 9, 13, 13.6, 13.5, 13.4]);
    expect(await steadyRate(measure)).toBe(13.6);
    expect(count()).toBe(5);
  });

  it('is the best rate where other processes take time away', async () => {
    const { measure } = measured([12, 6, 13, 7, 13, 13]);
    expect(await steadyRate(measure)).toBe(13);
  });

  it('ends where the rate never becomes steady', async () => {
    let window = 0;
    expect(await steadyRate(async () => 2 ** ++window)).toBe(2 ** 12);
  });
});
