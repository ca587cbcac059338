import { describe, expect, it } from 'vitest';
import type { QalignError } from '../../../src/base/errors.js';
import type { Scorer } from '../../../src/recipes/score/scorer.js';
import { createAdmission, type Ticket } from '../../../src/server/score/admission.js';

/** A scorer that says what its workers take; `ready: false` for one whose workers are gone. */
function scorerThatSays(perFrameMs: number, ready = true): Scorer {
  const workers = [{ device: 'cpu', pid: 1, ready, restarts: 0, rss_bytes: 0, latency: { baseMs: 5, perFrameMs } }];
  const engine = {
    queued: 0,
    running: 0,
    queuedFrames: { interactive: 0, bulk: 0 },
    runningFrames: 0,
    maxBatchFrames: 16,
    batches: 0,
    items: 0,
    frames: 0,
    workers,
  };
  return { load: () => ({ engine, preparing: undefined }), ticket: () => 0 } as unknown as Scorer;
}

/**
 * One server, first come first served, `trueMs` a frame, requests every `everyMs` with the same deadline. Time is
 * counted, not waited for.
 */
function simulate({
  saidMs,
  trueMs,
  everyMs,
  withinMs,
  seconds,
}: {
  saidMs: number;
  trueMs: number | ((time: number) => number);
  everyMs: number;
  withinMs: number;
  seconds: number;
}): { answered: number; late: number; refused: number; shortestRetryS: number } {
  let time = 0;
  const admission = createAdmission(() => time);
  const scorer = scorerThatSays(saidMs);
  const queue: { ticket: Ticket; deadline: number }[] = [];
  const counts = { answered: 0, late: 0, refused: 0, shortestRetryS: Infinity };
  let nextDone = Infinity;
  const pace = (): number => (typeof trueMs === 'number' ? trueMs : trueMs(time));
  for (let arrival = 0; arrival < seconds * 1000; arrival += everyMs) {
    while (nextDone <= arrival) {
      time = nextDone;
      const { ticket } = queue.shift() as { ticket: Ticket };
      ticket.done(1);
      ticket.close(true);
      counts.answered++;
      nextDone = queue.length === 0 ? Infinity : time + pace();
    }
    time = arrival;
    for (const gone of queue.filter(({ deadline }) => deadline <= time)) {
      gone.ticket.done(1, false);
      gone.ticket.close(true);
      counts.late++;
      queue.splice(queue.indexOf(gone), 1);
    }
    if (queue.length === 0) nextDone = Infinity;
    try {
      queue.push({ ticket: admission.admit(scorer, 1, withinMs), deadline: time + withinMs });
      if (nextDone === Infinity) nextDone = time + pace();
    } catch (error) {
      counts.refused++;
      counts.shortestRetryS = Math.min(
        counts.shortestRetryS,
        (error as QalignError).details?.['retry_after_s'] as number,
      );
    }
  }
  return counts;
}

describe('admission', () => {
  it('lets everything in below capacity', () => {
    const { answered, late, refused } = simulate({ saidMs: 10, trueMs: 10, everyMs: 14, withinMs: 1000, seconds: 20 });
    expect([late, refused]).toEqual([0, 0]);
    expect(answered).toBeGreaterThan(1400);
  });

  it.each([
    ['the workers are as fast as they say', 10],
    ['the workers are five times as slow as they say', 2],
    ['the workers are twice as fast as they say', 20],
  ])('stays at capacity under ten times of it, when %s', (_what, saidMs) => {
    const { answered, late, refused, shortestRetryS } = simulate({
      saidMs,
      trueMs: 10,
      everyMs: 1,
      withinMs: 1000,
      seconds: 60,
    });
    expect(answered).toBeGreaterThan(0.9 * 6000);
    expect(late).toBeLessThan(0.05 * 6000); // while it learns
    expect(refused).toBeGreaterThan(50_000);
    expect(shortestRetryS).toBeGreaterThanOrEqual(1);
  });

  it('answers in time what it lets in, also where the machine is three times as slow every other two seconds', () => {
    const trueMs = (time: number): number => (time % 4000 < 2000 ? 10 : 30);
    for (const everyMs of [7.5, 1.5]) {
      const { answered, late } = simulate({ saidMs: 15, trueMs, everyMs, withinMs: 5000, seconds: 120 });
      expect(answered).toBeGreaterThan(0.95 * 120 * ((100 + 33.3) / 2));
      expect(late).toBeLessThan(0.01 * answered);
    }
  });

  it('refuses what came too late to be answered, and everything without a worker', () => {
    const admission = createAdmission();
    const code = (work: () => unknown): string => {
      try {
        work();
        return 'let in';
      } catch (error) {
        return (error as QalignError).code;
      }
    };
    expect(code(() => admission.admit(scorerThatSays(1), 1, 0))).toBe('OVERLOADED');
    expect(code(() => admission.admit(scorerThatSays(1, false), 1, 1000))).toBe('NO_WORKER');
    expect(code(() => admission.admit(scorerThatSays(1), 1, 1000))).toBe('let in');
  });

  it('takes the items of a client that went away out of the wait, and learns no pace from them', () => {
    const admission = createAdmission();
    const scorer = scorerThatSays(10);
    const before = admission.predict(scorer) as number;
    const ticket = admission.admit(scorer, 50, 60_000);
    expect(admission.predict(scorer)).toBeGreaterThan(before * 5);
    ticket.grow(50);
    expect(admission.predict(scorer)).toBeGreaterThan(before * 10);
    ticket.close(false);
    expect(admission.predict(scorer)).toBe(before);
  });
});
