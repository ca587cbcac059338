import { describe, expect, it } from 'vitest';
import type { QalignError } from '../../../src/base/errors.js';
import { createAdmission } from '../../../src/server/score/admission.js';
import { evenly, scorerThatSays, simulate, type Arrival } from './simulated-service.js';

const FIVE_SECONDS = { withinMs: 5000 };
/** Like qalign-nano on two cores: 13.7 frames per second in full batches. */
const NANO = { frameMs: 70, batchMs: 50 };
const FULL = 1000 / (70 + 50 / 16);
/** Like a model that takes less time than the overhead of its requests. */
const TINY = { frameMs: 4, batchMs: 10 };
const perFrame = (perFrameMs: number, ready = true) => scorerThatSays(() => ({ baseMs: 5, perFrameMs }), { ready });

describe('admission, simulated', () => {
  it('admits everything below capacity, and uses the full capacity above it', () => {
    const below = simulate({ ...NANO, arrivals: evenly(10, FIVE_SECONDS), seconds: 30 });
    expect([below.late, below.refused]).toEqual([0, 0]);
    for (const times of [1, 2, 10]) {
      const { answered, late } = simulate({ ...NANO, arrivals: evenly(FULL * times, FIVE_SECONDS), seconds: 60 });
      expect([answered > 0.9 * FULL * 60, late]).toEqual([true, 0]);
    }
  });

  it.each([
    [3, 0.01],
    [4, 0.02],
  ])('answers in time when everything suddenly becomes %s times slower, and reports the wait', (slower, most) => {
    for (const [model, perSecond] of [
      [NANO, FULL],
      [TINY, 215],
    ] as const)
      for (const times of [1, 3]) {
        const slowness = (time: number): number => (time < 30_000 ? 1 : slower);
        const arrivals = evenly(perSecond * times, FIVE_SECONDS);
        const { answered, late, retryAfterS } = simulate({ ...model, slowness, arrivals, seconds: 60 });
        expect(late).toBeLessThan(most * (answered + late));
        expect(answered).toBeGreaterThan(0.75 * perSecond * (30 + 30 / slower));
        expect(retryAfterS.every((wait) => wait >= 1 && wait < 8)).toBe(true);
      }
  });

  it('keeps a reserve for the next slow period', () => {
    const slowness = (time: number): number => (time % 10_000 < 7000 ? 1 : 4);
    const { answered, late } = simulate({ ...NANO, slowness, arrivals: evenly(FULL * 3, FIVE_SECONDS), seconds: 120 });
    expect(late).toBeLessThan(0.01 * answered);
    expect(answered).toBeGreaterThan(0.7 * FULL * 120 * (0.7 + 0.3 / 4));
  });

  it('loses few admitted requests to a stall of seconds during a lasting overload', () => {
    const noise = [1, 2, 1, 3, 1, 1, 2, 4, 1, 2];
    const slowness = (time: number): number =>
      time >= 40_000 && time < 44_500 ? 30 : (noise[Math.floor(time / 400) % noise.length] as number);
    for (const times of [2, 10]) {
      const arrivals = evenly(70 * times, FIVE_SECONDS);
      const { answered, late } = simulate({ ...TINY, frameMs: 10, slowness, arrivals, seconds: 60 });
      expect(late).toBeLessThan(0.01 * answered);
      expect(answered).toBeGreaterThan(0.9 * 3000);
    }
  });

  it('reaches the earlier rate two seconds after other load ends', () => {
    const slowness = (time: number): number => (time >= 10_000 && time < 20_000 ? 4 : 1);
    const { answeredBySecond, late } = simulate({
      ...NANO,
      slowness,
      arrivals: evenly(FULL * 2, FIVE_SECONDS),
      seconds: 40,
    });
    const perSecond = (from: number, to: number): number =>
      answeredBySecond.slice(from, to).reduce((sum, count) => sum + (count ?? 0), 0) / (to - from);
    expect(late).toBeLessThan(4);
    expect(perSecond(12, 20)).toBeGreaterThan(0.6 * (FULL / 4));
    expect(perSecond(22, 30)).toBeGreaterThan(0.85 * FULL);
  });

  it.each([1, 10])('answers in time on a temporarily slow machine, at %s times the capacity', (times) => {
    for (const slowness of [
      (time: number): number => (time % 4000 < 2000 ? 1 : 3),
      (time: number): number => [1, 1, 5, 1, 2, 1, 1, 4, 1, 3][Math.floor(time / 300) % 10] as number,
    ]) {
      const { answered, late } = simulate({
        ...NANO,
        slowness,
        arrivals: evenly(FULL * times, FIVE_SECONDS),
        seconds: 120,
      });
      expect(answered).toBeGreaterThan(600);
      expect(late).toBeLessThan(0.01 * answered);
    }
  });

  it('admits a burst that can be answered, and rejects the excess of a larger one', () => {
    const burst = (size: number) => (time: number) =>
      time % 10_000 === 3000 || time === 0 ? Array.from({ length: time === 0 ? 1 : size }, () => FIVE_SECONDS) : [];
    const small = simulate({ ...TINY, arrivals: burst(200), seconds: 30 });
    // before the first, the time of larger batches is unknown
    expect([small.answeredBySecond[13], small.answeredBySecond[23], small.late]).toEqual([200, 200, 0]);
    const large = simulate({ ...TINY, arrivals: burst(3000), seconds: 30 });
    expect([large.late, large.answered > 600]).toEqual([0, true]);
  });

  it('learns the length of clips that arrive among pictures', () => {
    let count = 0;
    const request = (): Arrival => (count++ % 20 === 0 ? { withinMs: 5000, clip: 30 } : FIVE_SECONDS);
    const arrivals = (time: number): Arrival[] => (time % 50 === 0 ? [request()] : []);
    const { answered, late, frames } = simulate({ ...TINY, frameMs: 30, arrivals, seconds: 120 });
    expect(late).toBeLessThan(0.01 * answered);
    expect(frames).toBeGreaterThan(0.7 * (1000 / 30) * 120);
  });

  it('does not count the time of downloads as its own', () => {
    const arrivals = (time: number): Arrival[] => [
      ...(time % 100 === 0 ? [FIVE_SECONDS] : []),
      ...(time % 5000 === 0 ? [{ withinMs: 30_000, fetchMs: 20_000 }] : []),
    ];
    const { late, refused } = simulate({ ...NANO, arrivals, seconds: 60 });
    expect([late, refused]).toEqual([0, 0]);
  });

  it('never starves: if no request can be in time, it tries one after the other until one can', () => {
    const slowness = (time: number): number => (time < 20_000 ? 1000 : 1);
    const { answeredBySecond } = simulate({ ...NANO, slowness, arrivals: evenly(5, FIVE_SECONDS), seconds: 40 });
    expect(answeredBySecond.slice(25, 40).reduce((sum, count) => sum + count, 0)).toBeGreaterThan(60);
  });

  it('uses over 80 % of the capacity for requests with a short deadline', () => {
    const { answered, late } = simulate({ ...TINY, arrivals: evenly(400, { withinMs: 1000 }), seconds: 20 });
    expect(late).toBe(0);
    expect(answered).toBeGreaterThan(0.8 * 20 * 215);
  });
});

describe('admission', () => {
  it('rejects requests that arrive too late, and all requests without a worker', () => {
    const admission = createAdmission();
    const code = (ready: boolean, withinMs: number): string => {
      try {
        admission.admit(perFrame(1, ready), { frames: 1, withinMs });
        return 'let in';
      } catch (error) {
        return (error as QalignError).code;
      }
    };
    expect(code(true, 0)).toBe('OVERLOADED');
    expect(code(false, 1000)).toBe('NO_WORKER');
    expect(code(true, 1000)).toBe('let in');
  });

  it('removes the items of a disconnected client from the wait, and learns no pace from them', () => {
    const admission = createAdmission();
    const scorer = perFrame(10);
    const before = admission.predict(scorer) as number;
    const ticket = admission.admit(scorer, { frames: 50, withinMs: 60_000 });
    expect(admission.predict(scorer)).toBeGreaterThan(before * 5);
    ticket.countedClip(ticket.foundClip(), 51);
    expect(admission.predict(scorer)).toBeGreaterThan(before * 9);
    ticket.close();
    expect(admission.predict(scorer)).toBe(before);
  });

  it('detects a stalled worker before a request is late', () => {
    let time = 0;
    const admission = createAdmission(() => time);
    const scorer = perFrame(50);
    const admit = (): void => void admission.admit(scorer, { frames: 1, withinMs: 5000 });
    for (let i = 0; i < 20; i++) admit();
    time = 2500;
    expect(admit).toThrow(/would take about|try again in/);
  });

  it('keeps no place for a clip that is counted after its client has disconnected', () => {
    const admission = createAdmission(() => 0);
    const scorer = perFrame(10);
    const before = admission.predict(scorer);
    const ticket = admission.admit(scorer, { frames: 1, withinMs: 5000 });
    const expected = ticket.foundClip();
    ticket.close();
    ticket.countedClip(expected, 300);
    ticket.done(300);
    ticket.foundClip();
    expect(admission.predict(scorer)).toBe(before);
  });
});
