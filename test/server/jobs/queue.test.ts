import { expect, it } from 'vitest';
import { createJobQueue, paceOf, type ActiveJob, type JobQueue } from '../../../src/server/jobs/queue.js';
import { storedJob } from './stored-job.js';

/** A queue whose jobs run until the test ends them. */
function queueOf(concurrent: number): { queue: JobQueue; began: string[]; end: (id: string) => Promise<void> } {
  const began: string[] = [];
  const ends = new Map<string, () => void>();
  const queue = createJobQueue(
    concurrent,
    ({ job, stop }) =>
      new Promise((resolve) => {
        began.push(job.id);
        ends.set(job.id, resolve);
        stop.signal.addEventListener('abort', () => resolve());
      }),
  );
  const end = async (id: string): Promise<void> => {
    ends.get(id)?.();
    await new Promise((resolve) => setImmediate(resolve));
  };
  return { queue, began, end };
}

it('runs a limited number at a time, the others in order, and drops ended jobs', async () => {
  const { queue, began, end } = queueOf(2);
  for (const id of ['a', 'b', 'c', 'd']) queue.add(storedJob({ id }));
  expect(began).toEqual(['a', 'b']);
  await end('b');
  expect(began).toEqual(['a', 'b', 'c']);
  expect([queue.find('b'), queue.find('d')?.job.id]).toEqual([undefined, 'd']);
});

it('removes waiting jobs, but never running ones', async () => {
  const { queue, began, end } = queueOf(1);
  for (const id of ['a', 'b', 'c']) queue.add(storedJob({ id }));
  expect(queue.withdraw(queue.find('a') as ActiveJob)).toBe(false);
  expect(queue.withdraw(queue.find('b') as ActiveJob)).toBe(true);
  expect(queue.find('b')).toBeUndefined();
  await end('a');
  expect(began).toEqual(['a', 'c']);
});

it('stops running jobs and starts no more once it is closed', async () => {
  const { queue, began } = queueOf(1);
  for (const id of ['a', 'b']) queue.add(storedJob({ id }));
  await queue.close(new Error('ending'));
  expect(queue.closed).toBe(true);
  expect(began).toEqual(['a']);
  queue.add(storedJob({ id: 'c' }));
  expect(began).toEqual(['a']);
});

it('reports the pace of this process', () => {
  const entry: ActiveJob = {
    job: storedJob({ done: 120 }),
    stop: new AbortController(),
    startedAt: undefined,
    doneAtStart: 100,
  };
  expect(paceOf(entry, 5_000)).toBeUndefined();
  entry.startedAt = 1_000;
  expect(paceOf(entry, 5_000)).toBe(5);
  entry.doneAtStart = 120;
  expect(paceOf(entry, 5_000)).toBeUndefined();
});
