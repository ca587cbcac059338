import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { chooseFrames, type ChoiceOptions, type ClipTimes } from '../../../src/media/video/frame-choice.js';

const MS = { numerator: 1, denominator: 1000 };

/** Pictures at these times in milliseconds; the last is shown for `lastDuration`. */
function clip(milliseconds: readonly number[], rate: number, more: Partial<ClipTimes> = {}): ClipTimes {
  return {
    packets: milliseconds.length,
    rate: { numerator: rate, denominator: 1 },
    rateIsNamed: true,
    tick: MS,
    stamps: Float64Array.from(milliseconds),
    lastDuration: Math.round(1000 / rate),
    reliable: true,
    ...more,
  };
}
const every = (count: number, step: number, from = 0): number[] =>
  Array.from({ length: count }, (_, i) => Math.round(from + i * step));
const chosen = (times: ClipTimes, options?: ChoiceOptions) => {
  const { rule, wanted } = chooseFrames(times, options);
  return { rule, indices: wanted().map(({ index }) => index), keys: wanted().map(({ key }) => key) };
};

describe('the frame rule', () => {
  it('`eight` takes pictures from the first to the last, with halves to the even one, and repeats those of short clips', () => {
    const long = clip(every(100, 40, 5000), 25);
    const eight = chosen(long, { frameRule: 'eight' });
    // numpy.round(numpy.linspace(0, 99, 8))
    expect(eight).toMatchObject({ rule: 'eight', indices: [0, 14, 28, 42, 57, 71, 85, 99] });
    expect(eight.keys).toEqual(eight.indices.map((index) => 5000 + 40 * index));
    expect(chosen(long, { frameRule: 'eight', maxFrames: 1 }).indices).toEqual([0]);
    // numpy.round(numpy.linspace(0, 9, 7)) and (0, 2, 8)
    expect(chosen(clip(every(10, 40), 25), { frameRule: 'eight', maxFrames: 7 }).indices).toEqual([
      0, 2, 3, 4, 6, 8, 9,
    ]);
    expect(chosen(clip(every(3, 40), 25), { frameRule: 'eight' }).indices).toEqual([0, 0, 1, 1, 1, 1, 2, 2]);
    const counted = chooseFrames(clip(every(100, 40), 25, { reliable: false }), { frameRule: 'eight' });
    expect([counted.keys, counted.wanted()[7]]).toEqual(['n', { index: 99, key: 99, second: 3.96, timeS: 3.96 }]);
  });

  it('is the published rule at a constant rate, with any first time stamp, and with stamps rounded to milliseconds', () => {
    const rates = fc.constantFrom(10, 24, 25, 30, 50, 60);
    fc.assert(
      fc.property(rates, fc.integer({ min: 1, max: 900 }), fc.integer({ min: 0, max: 5000 }), (rate, count, from) => {
        const { rule, indices, keys } = chosen(clip(every(count, 1000 / rate, from), rate));
        const seconds = Array.from({ length: Math.max(1, Math.floor(count / rate)) }, (_, i) => i * rate);
        expect({ rule, indices }).toEqual({ rule: 'published', indices: seconds });
        expect(keys).toEqual(seconds.map((index) => Math.round(from + (index * 1000) / rate)));
      }),
    );
  });

  it('knows the display time of each chosen picture, from the first picture', () => {
    const timesOf = (times: ClipTimes, options?: ChoiceOptions) =>
      chooseFrames(times, options)
        .wanted()
        .map(({ timeS }) => timeS);
    expect(timesOf(clip(every(100, 40, 5000), 25))).toEqual([0, 1, 2, 3]);
    // int(29.97 · i) is shown shortly before second i
    const ntsc = { numerator: 30000, denominator: 1001 };
    const film = clip(every(90, 1001 / 30), 30, { rate: ntsc });
    expect(timesOf(film)).toEqual([0, 0.968, 1.969]);
    const counted = timesOf({ ...film, reliable: false }).map((time) => Math.round(time * 1e6));
    expect(counted).toEqual([0, 967633, 1968633]);
    // a slide that is still shown keeps its own time
    expect(timesOf(clip([0, 2500, 7000, 7040], 1, { lastDuration: 1000 }))).toEqual([0, 0, 0, 2.5, 2.5, 2.5, 2.5, 7]);
  });

  it('goes by time if the rate varies: the last picture with a stamp of at most i seconds', () => {
    const recording = [...every(180, 1000 / 60), ...every(27, 1000, 3000)];
    for (const rate of [60, 7]) {
      const { rule, keys } = chosen(clip(recording, rate, { lastDuration: 17 }));
      expect({ rule, keys }).toEqual({ rule: 'time', keys: every(29, 1000) });
    }
    // a picture that is shown for several seconds is the frame of each of them
    const slides = clip([0, 2500, 7000, 7040], 1, { lastDuration: 1000 });
    expect(chosen(slides)).toMatchObject({ rule: 'time', indices: [0, 0, 0, 1, 1, 1, 1, 2] });
  });

  it('agrees with a plain search over the pictures, for any times', () => {
    const gaps = fc.array(fc.integer({ min: 1, max: 4000 }), { minLength: 1, maxLength: 60 });
    fc.assert(
      fc.property(gaps, fc.constantFrom(0.5, 1, 2), fc.integer({ min: 1, max: 60 }), (steps, fps, rate) => {
        const stamps = steps.reduce<number[]>((all, step) => [...all, (all.at(-1) ?? 0) + step], [0]);
        const times = clip(stamps, rate);
        const { rule, indices } = chosen(times, { fps });
        if (rule !== 'time') return;
        const span = ((stamps.at(-1) ?? 0) + Math.floor(times.lastDuration)) / 1000;
        expect(Math.abs(indices.length - Math.max(1, Math.floor(span * fps)))).toBeLessThanOrEqual(1);
        indices.forEach((index, i) => {
          expect(index).toBe(stamps.findLastIndex((stamp) => stamp <= (i * 1000) / fps));
        });
      }),
    );
  });

  it('keeps the published pictures of a clip whose time stamps jump by less than half a second', () => {
    const jumps = [...every(100, 1000 / 30), ...every(140, 1000 / 30, 3367)];
    const average = { numerator: 240_000, denominator: 8033 }; // as MP4 gives it
    const { rule, indices, keys } = chosen(clip(jumps, 30, { rate: average }));
    expect(rule).toBe('published');
    expect(keys).toEqual(indices.map((index) => jumps[index]));
  });

  it('is not shifted by a few lost pictures if the others are on the grid of the rate', () => {
    const lost = every(250, 40).filter((stamp) => stamp < 3000 || stamp > 3200);
    expect(chosen(clip(lost, 25))).toMatchObject({ rule: 'published', keys: every(9, 1000).with(3, 2960) });
    // with the published rule, pictures are numbered like in the reference
    expect(chosen(clip(lost, 25), { frameRule: 'published' }).keys).toEqual(every(9, 25).map((index) => lost[index]));
  });

  it('returns the published indices of every clip on request', () => {
    const recording = clip([...every(180, 1000 / 60), ...every(27, 1000, 3000)], 60);
    const published = chosen(recording, { frameRule: 'published' });
    expect(published).toEqual({ rule: 'published', indices: [0, 60, 120], keys: [0, 1000, 2000] });
  });

  it('counts pictures if stamps are unreliable', () => {
    const { rule, indices, keys } = chosen(clip([], 25, { packets: 80, reliable: false }));
    expect({ rule, indices, keys }).toEqual({ rule: 'counted', indices: [0, 25, 50], keys: [0, 25, 50] });
  });

  it('times counted pictures by their decoding times if those contradict the rate', () => {
    const counted = { reliable: false, packets: 40 };
    const steady = clip([], 10, { ...counted, countedAt: Float64Array.from(every(40, 100, 700)) });
    expect(chosen(steady)).toMatchObject({ rule: 'counted', keys: [0, 10, 20, 30] });
    const dropped = clip([], 10, {
      ...counted,
      countedAt: Float64Array.from([...every(20, 100), ...every(20, 500, 2000)]),
    });
    expect(chosen(dropped)).toMatchObject({ rule: 'time', keys: [0, 10, 20, 22, 24, 26, 28, 30, 32, 34, 36] });
    expect(chooseFrames(dropped).keys).toBe('n');
    expect(chosen(dropped, { frameRule: 'published' })).toMatchObject({ rule: 'counted', keys: [0, 10, 20, 30] });
  });

  it('names pictures that an edit list hides, without a key', () => {
    const { rule, indices, keys } = chosen(clip(every(93, 1000 / 30), 30, { packets: 180 }));
    expect({ rule, indices }).toEqual({ rule: 'published', indices: [0, 30, 60, 90, 120, 150] });
    expect(keys).toEqual([0, 1000, 2000, 3000, undefined, undefined]);
  });

  it('takes the first picture of a clip shorter than one interval', () => {
    const short = chooseFrames(clip(every(10, 40), 25));
    expect({ ...short, wanted: short.wanted() }).toEqual({
      rule: 'published',
      keys: 'pts',
      count: 1,
      short: true,
      wanted: [{ index: 0, key: 0, second: 0, timeS: 0 }],
    });
    expect(chosen(clip(every(250, 40), 25), { fps: 0.01 }).indices).toEqual([0]);
  });

  it('keeps maxFrames of them, evenly spaced', () => {
    const times = clip([...every(180, 1000 / 60), ...every(27, 1000, 3000)], 60, { lastDuration: 17 });
    expect(chosen(times, { maxFrames: 3 }).keys).toEqual([0, 9000, 19_000]);
    expect(chooseFrames(clip(every(250, 40), 25), { fps: 1e12, maxFrames: 3 }).wanted()).toHaveLength(3);
  });
});
