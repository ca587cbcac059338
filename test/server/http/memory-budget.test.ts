import { describe, expect, it } from 'vitest';
import { createMemoryBudget } from '../../../src/server/http/memory-budget.js';

describe('createMemoryBudget', () => {
  it('gives the requests of a client one share, also those that began before any of them took bytes', () => {
    const memory = createMemoryBudget(100, () => 40);
    const [first, second, other] = [memory.of('a'), memory.of('a'), memory.of('b')];
    expect([first.take(30), second.take(30), second.take(10), other.take(30)]).toEqual([true, false, true, true]);
    expect([first.used, second.used, other.used, memory.used]).toEqual([40, 40, 30, 70]);
    first.give(30);
    expect([second.used, memory.used, second.take(31), second.take(30)]).toEqual([10, 40, false, true]);
    second.give(40);
    other.give(30);
    expect([first.used, other.used, memory.used]).toEqual([0, 0, 0]);
  });

  it('takes nothing from a client where the limit over all is reached', () => {
    const memory = createMemoryBudget(50, () => 40);
    const [first, other] = [memory.of('a'), memory.of('b')];
    expect([first.take(40), other.take(11), other.used, other.take(10)]).toEqual([true, false, 0, true]);
  });
});
