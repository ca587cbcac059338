import { expect, it } from 'vitest';
import { createTurns } from '../../../src/server/jobs/turns.js';

const tick = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

it('runs work of one key in sequence, and of several keys at once', async () => {
  const inTurn = createTurns();
  const log: string[] = [];
  const work = (name: string) => async (): Promise<string> => {
    log.push(`${name} begins`);
    await tick();
    log.push(`${name} ends`);
    return name;
  };
  const all = await Promise.all([inTurn('a', work('a1')), inTurn('a', work('a2')), inTurn('b', work('b1'))]);
  expect(all).toEqual(['a1', 'a2', 'b1']);
  expect(log.slice(0, 2)).toEqual(['a1 begins', 'b1 begins']);
  expect(log.filter((line) => line.startsWith('a'))).toEqual(['a1 begins', 'a1 ends', 'a2 begins', 'a2 ends']);
});

it('continues after work that failed', async () => {
  const inTurn = createTurns();
  const failing = inTurn('a', async () => {
    throw new Error('no');
  });
  const next = inTurn('a', async () => 'yes');
  await expect(failing).rejects.toThrow('no');
  expect(await next).toBe('yes');
});
