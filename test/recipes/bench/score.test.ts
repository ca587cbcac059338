import { expect, it } from 'vitest';
import { growth } from '../../../src/recipes/bench/score.js';

it('is the median of the last quarter minus that of the second, so that startup and single peaks do not count', () => {
  expect(growth([0, 50, 10, 11, 12, 20, 21, 22, 90, 31, 32, 33])).toBe(20);
  expect(growth([1, 2, 3, 4])).toBe(2);
  expect([growth([]), growth([7])]).toEqual([0, 0]);
});
