import { expect, it } from 'vitest';
import { createPercentGate } from '../../src/base/percent-gate.js';

it('lets each percent of a subject through once', () => {
  const gate = createPercentGate();
  const heard = Array.from({ length: 1001 }, (_, done) => gate('loading', done, 1000)).filter(Boolean);
  expect(heard).toHaveLength(101);
  expect([gate('checking', 0, 2), gate('checking', 1, 2), gate('checking', 2, 2), gate('checking', 2, 2)]).toEqual([
    true,
    true,
    true,
    false,
  ]);
});
