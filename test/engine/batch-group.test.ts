import { describe, expect, it } from 'vitest';
import { BatchGroup } from '../../src/engine/batch-group.js';

describe('a batch group', () => {
  it('releases its items in the order of their places, when each place is taken or empty', () => {
    const group = new BatchGroup<string>(3);
    const released: string[][] = [];
    const release = (items: string[]): void => void released.push(items);
    group.take(2, 'c', release);
    group.take(0, 'a', release);
    expect(released).toEqual([]);
    group.giveUp(1);
    expect(released).toEqual([['a', 'c']]);
    group.giveUp(0);
    expect(released).toHaveLength(1);
  });

  it('releases nothing if all places are empty', () => {
    const group = new BatchGroup<string>(2);
    group.giveUp(0);
    group.giveUp(1);
    expect(() => group.giveUp(1)).not.toThrow();
  });
});
