import { getEventListeners } from 'node:events';
import { expect, it } from 'vitest';
import { firstSignal } from '../../src/base/first-signal.js';

it('is aborted with the first of its sources and its reason, and removes its listeners', () => {
  const [own, lasting] = [new AbortController(), new AbortController()];
  const { signal, release } = firstSignal(own.signal, undefined, lasting.signal);
  expect(signal?.aborted).toBe(false);
  own.abort('gone');
  expect([signal?.aborted, signal?.reason]).toEqual([true, 'gone']);
  for (let i = 0; i < 20; i++) firstSignal(new AbortController().signal, lasting.signal).release();
  release();
  expect(getEventListeners(lasting.signal, 'abort')).toEqual([]);
});

it('of one signal is that signal, and of an aborted signal is aborted', () => {
  const { signal } = new AbortController();
  expect(firstSignal(signal, signal).signal).toBe(signal);
  expect(firstSignal(undefined, undefined).signal).toBeUndefined();
  expect(firstSignal(signal, AbortSignal.abort('before')).signal?.reason).toBe('before');
});
