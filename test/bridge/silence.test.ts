import { expect, it } from 'vitest';
import { Silence } from '../../bridge/silence.js';

it('grows until a message comes', () => {
  const silence = new Silence(1000, 0);
  expect([1000, 2000, 3000].map((now) => silence.tick(now))).toEqual([1000, 2000, 3000]);
  silence.broken();
  expect(silence.tick(4000)).toBe(1000);
});

it('does not count a pause of this process as silence of the worker', () => {
  const silence = new Silence(1000, 0);
  silence.tick(1000);
  expect(silence.tick(61_000)).toBe(3000);
});

it('sends at most three pings without an answer', () => {
  const silence = new Silence(1000, 0);
  expect([1, 2, 3, 4].map(() => silence.mayAsk())).toEqual([true, true, true, false]);
  silence.broken();
  expect([1, 2, 3, 4].map(() => silence.mayAsk())).toEqual([true, true, true, false]);
});
