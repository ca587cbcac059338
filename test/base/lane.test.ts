import fc from 'fast-check';
import { expect, it } from 'vitest';
import { AGEING, LaneTurns, type Lane } from '../../src/base/lane.js';

const turnsOf = (waiting: Record<Lane, number>, count: number): (Lane | undefined)[] => {
  const turns = new LaneTurns();
  return Array.from({ length: count }, () => {
    const lane = turns.next(waiting);
    if (lane !== undefined) waiting[lane] -= 1;
    return lane;
  });
};

it('takes interactive first, and bulk after eight of them in a row', () => {
  const eight = Array.from({ length: AGEING }, () => 'interactive');
  expect(AGEING).toBe(8);
  expect(turnsOf({ interactive: 10, bulk: 2 }, 13)).toEqual([
    ...eight,
    'bulk',
    'interactive',
    'interactive',
    'bulk',
    undefined,
  ]);
});

it('counts interactive turns also while no bulk waits', () => {
  const turns = new LaneTurns();
  for (let turn = 0; turn < AGEING; turn++) expect(turns.next({ interactive: 1, bulk: 0 })).toBe('interactive');
  expect(turns.next({ interactive: 1, bulk: 1 })).toBe('bulk');
  expect(turns.next({ interactive: 1, bulk: 1 })).toBe('interactive');
});

it('gives every waiting item one turn, and bulk one in nine while both wait', () => {
  fc.assert(
    fc.property(fc.nat(60), fc.nat(60), (interactive, bulk) => {
      const order = turnsOf({ interactive, bulk }, interactive + bulk + 1);
      expect(order.filter((lane) => lane === 'interactive')).toHaveLength(interactive);
      expect(order.filter((lane) => lane === 'bulk')).toHaveLength(bulk);
      const both = order.slice(0, order.lastIndexOf('interactive') + 1);
      expect(both.filter((lane) => lane === 'bulk').length).toBeLessThanOrEqual(
        Math.max(0, Math.floor((interactive - 1) / AGEING)),
      );
    }),
  );
});
