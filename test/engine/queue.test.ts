import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { WorkerLink } from '../../bridge/client.js';
import { JobQueue, type Job } from '../../src/engine/queue.js';
import type { Lane } from '../../src/base/lane.js';

const job = (id: number, lane: Lane = 'bulk', frames = 1, extra: Partial<Job> = {}): Job => ({
  id: String(id),
  visuals: [],
  prompts: [],
  frames,
  lane,
  ticket: id,
  traceparent: undefined,
  since: 0,
  signal: undefined,
  resolve: () => {},
  reject: () => {},
  losses: 0,
  suspect: false,
  batchLimit: Infinity,
  ...extra,
});

it('hands out every job exactly once, in order within its lane, never over the budget unless alone', () => {
  fc.assert(
    fc.property(
      fc.array(fc.record({ interactive: fc.boolean(), frames: fc.integer({ min: 1, max: 9 }), suspect: fc.boolean() })),
      fc.integer({ min: 1, max: 12 }),
      (rows, budget) => {
        const queue = new JobQueue();
        const jobs = rows.map(({ interactive, frames, suspect }, i) =>
          job(i, interactive ? 'interactive' : 'bulk', frames, { suspect }),
        );
        for (const one of jobs) queue.push(one);
        const seen: Job[] = [];
        for (let batch = queue.take(budget, true); batch.length > 0; batch = queue.take(budget, true)) {
          const frames = batch.reduce((sum, one) => sum + one.frames, 0);
          expect(batch.length === 1 || (frames <= budget && batch.every((one) => !one.suspect))).toBe(true);
          seen.push(...batch);
        }
        expect(queue.length).toBe(0);
        for (const lane of ['interactive', 'bulk'] as const) {
          expect(seen.filter((one) => one.lane === lane)).toEqual(jobs.filter((one) => one.lane === lane));
        }
      },
    ),
  );
});

it('serves interactive first, and bulk after eight interactive batches', () => {
  const queue = new JobQueue();
  for (let i = 0; i < 10; i++) queue.push(job(i, 'interactive'));
  queue.push(job(100));
  const order = Array.from({ length: 11 }, () => queue.take(1, true)[0]?.id);
  expect(order.indexOf('100')).toBe(8);
});

it('holds a suspect item until a worker is idle', () => {
  const queue = new JobQueue();
  queue.putBack([job(1, 'bulk', 1, { suspect: true })]);
  expect(queue.take(8, false)).toEqual([]);
  expect(queue.take(8, true)).toHaveLength(1);
});

it('halves a batch that ran out of memory', () => {
  const queue = new JobQueue();
  for (let i = 0; i < 8; i++) queue.push(job(i, 'bulk', 1, { batchLimit: 4 }));
  expect(queue.take(64, true)).toHaveLength(4);
});

it('keeps items of one ticket together, ahead of later tickets, and counts the waiting frames', () => {
  const queue = new JobQueue();
  for (const [id, ticket] of [
    [1, 1],
    [2, 2],
    [3, 1],
    [4, 3],
    [5, 2],
  ] as const)
    queue.push(job(id, 'interactive', 2, { ticket }));
  expect(queue.frames('interactive')).toBe(10);
  expect(queue.take(100, true).map(({ id }) => id)).toEqual(['1', '3', '2', '5', '4']);
  expect(queue.frames('interactive')).toBe(0);
});

it('sends a clip step alone and only to its worker, without blocking later items', () => {
  const [mine, other] = [{}, {}] as [WorkerLink, WorkerLink];
  const step = (id: number, link: WorkerLink | undefined): Job =>
    job(id, 'bulk', 4, { step: { kind: 'encode', clip: { id: String(id), link }, at: 0 } });
  const queue = new JobQueue();
  for (const one of [step(0, mine), job(1), job(2), step(3, undefined), job(4)]) queue.push(one);
  const take = (link: WorkerLink): string =>
    queue
      .take(64, true, link)
      .map(({ id }) => id)
      .join(' ');
  expect([take(other), take(other), take(mine), take(other), take(other)]).toEqual(['1 2', '3', '0', '4', '']);
  expect([queue.length, queue.frames('bulk')]).toEqual([0, 0]);
  queue.push(step(5, mine));
  queue.push(job(6));
  expect(queue.removeOrphans([mine, other])).toEqual([]);
  expect(queue.removeOrphans([undefined, other]).map(({ id }) => id)).toEqual(['5']);
  expect(take(other)).toBe('6');
});
