import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { createPriorityGate } from '../../src/base/priority-gate.js';

it('limits concurrency, also after a failure', async () => {
  const gate = createPriorityGate(2);
  let [inside, most] = [0, 0];
  const work = async (): Promise<void> => {
    inside += 1;
    most = Math.max(most, inside);
    await sleep(2);
    inside -= 1;
  };
  await expect(
    gate.pass('bulk', async () => {
      throw new Error('no');
    }),
  ).rejects.toThrow('no');
  await Promise.all(Array.from({ length: 10 }, () => gate.pass('bulk', work)));
  expect(most).toBe(2);
  expect(gate.running).toBe(0);
});

it('takes interactive first, bulk after eight of them, and drops cancelled callers', async () => {
  const gate = createPriorityGate(1);
  const order: string[] = [];
  const enter = (name: string, lane: 'interactive' | 'bulk', signal?: AbortSignal): Promise<void> =>
    gate.pass(lane, async () => void order.push(name), signal);
  const first = gate.pass('bulk', () => sleep(5));
  const gone = new AbortController();
  const leaving = enter('gone', 'interactive', gone.signal);
  const rest = [
    enter('b1', 'bulk'),
    enter('b2', 'bulk'),
    ...Array.from({ length: 9 }, (_, i) => enter(`i${i}`, 'interactive')),
  ];
  gone.abort(new Error('went away'));
  await expect(leaving).rejects.toThrow('went away');
  await Promise.all([first, ...rest]);
  expect(order).toEqual(['i0', 'i1', 'i2', 'i3', 'i4', 'i5', 'i6', 'i7', 'b1', 'i8', 'b2']);
  expect([gate.running, gate.waiting('interactive'), gate.waiting('bulk')]).toEqual([0, 0, 0]);
});
