import type { FrameRule, WantedFrameRule } from '../../prompts/subject.js';
import { EIGHT, evenIndices, floorOf, sampling, samplingRate, spreadIndices, type Rational } from './frame-indices.js';

/** Timing of the pictures of a video stream, from its packets. Time stamps are in ticks. */
export interface ClipTimes {
  /** Number of packets, counted as in the reference. */
  readonly packets: number;
  /** Average rate of the clip in pictures per second. */
  readonly rate: Rational;
  /** False if the file has no rate and it was computed from the time stamps. */
  readonly rateIsNamed: boolean;
  /** Seconds per tick. */
  readonly tick: Rational;
  /** Time stamps of the shown pictures, ascending and distinct. The first is the beginning of the clip. */
  readonly stamps: Float64Array;
  /** Display duration of the last picture. 0 if the file does not contain it. */
  readonly lastDuration: number;
  /** False if packets lack time stamps or stamps jump. Pictures are then counted. */
  readonly reliable: boolean;
  /** For counted pictures: their times up to a constant, ascending. Undefined if unknown. */
  readonly countedAt?: Float64Array | undefined;
}

export interface ChoiceOptions {
  /** Pictures per second. Default: 1. */
  readonly fps?: number | undefined;
  readonly maxFrames?: number | undefined;
  readonly frameRule?: WantedFrameRule | undefined;
}

/** One requested picture. */
export interface WantedFrame {
  /** Index of the picture in display order. */
  readonly index: number;
  /** Its time stamp in ticks, or its number if pictures are counted. Undefined if the clip never shows it. */
  readonly key: number | undefined;
  /** The sampled time in seconds from the beginning. */
  readonly second: number;
  /** Display time of the picture in seconds after the first picture. The sampled time if the clip never shows it. */
  readonly timeS: number;
}

export interface FrameChoice {
  readonly rule: FrameRule;
  /** Type of the keys of `wanted`: picture numbers, or time stamps. */
  readonly keys: 'n' | 'pts';
  /** Number of pictures by the rule, before `maxFrames`. */
  readonly count: number;
  /** The clip is shorter than one sampling interval, so its first picture is taken. */
  readonly short: boolean;
  /** The wanted pictures in ascending order, possibly repeated. The call builds the list: check `count` first. */
  readonly wanted: () => WantedFrame[];
}

/** Above this number of positions, an evenly spaced subset is checked, so that absurd rates do not run forever. */
const MOST_CHECKED = 100_000;

/**
 * Chooses the pictures of a clip. The published rule is int(fps · i) for i < int(packets/fps). It applies unless one of
 * two conditions holds:
 *
 * - Second i is more than half a sampling interval outside the time in which its picture is shown.
 * - The rule selects at least two pictures fewer or more than the clip shows by time.
 *
 * Otherwise, picture i is the last picture with a time stamp of at most i seconds. If time stamps are unreliable,
 * pictures are counted, and their decoding times decide between the two rules.
 *
 * The rule `eight` takes `maxFrames` pictures, eight by default, evenly spaced from the first to the last.
 */
export function chooseFrames(times: ClipTimes, options: ChoiceOptions = {}): FrameChoice {
  const { fps = 1, frameRule = 'auto' } = options;
  if (frameRule === 'eight') return spreadChoice(times, options.maxFrames ?? EIGHT);
  const published = publishedNames(times, fps);
  const choice = (rule: FrameRule, count: number, nameAt: (i: number) => Named): FrameChoice => ({
    rule,
    keys: times.reliable ? 'pts' : 'n',
    count: Math.max(1, count),
    short: count === 0,
    wanted: () =>
      evenIndices(Math.max(1, count), options.maxFrames).map((i) => {
        const named = nameAt(i);
        return { ...named, second: i / fps, timeS: timeOf(times, named) ?? i / fps };
      }),
  });
  if (!times.reliable) {
    const counted = times.countedAt === undefined ? undefined : { ...times, stamps: times.countedAt, lastDuration: 0 };
    if (frameRule === 'published' || counted === undefined || holds(counted, fps, published, timedCount(counted, fps)))
      return choice('counted', published.count, (i) => ({ index: published.indexAt(i), key: published.indexAt(i) }));
    return choice('time', timedCount(counted, fps), (i) => {
      const { index } = shownAt(counted, fps, i);
      return { index, key: index };
    });
  }
  const { stamps } = times;
  const nth = (i: number): Named => ({ index: published.indexAt(i), key: stamps[published.indexAt(i)] });
  if (frameRule === 'published') return choice('published', published.count, nth);
  const timed = timedCount(times, fps);
  if (holds(times, fps, published, timed))
    return choice('published', published.count, gridNames(times, published.indexAt) ?? nth);
  return choice('time', timed, (i) => shownAt(times, fps, i));
}

function spreadChoice(times: ClipTimes, most: number): FrameChoice {
  const { reliable, stamps, packets, rate } = times;
  return {
    rule: 'eight',
    keys: reliable ? 'pts' : 'n',
    count: most,
    short: false,
    wanted: () =>
      spreadIndices(Math.max(1, reliable ? stamps.length : packets), most).map((index) => {
        const named = { index, key: reliable ? stamps[index] : index };
        const second = timeOf(times, named) ?? (index * rate.denominator) / rate.numerator;
        return { ...named, second, timeS: second };
      }),
  };
}

interface Named {
  readonly index: number;
  readonly key: number | undefined;
}

/** Returns the display time of a picture in seconds after the first picture; undefined if the clip never shows it. */
function timeOf({ stamps, tick, reliable, countedAt, rate }: ClipTimes, { key }: Named): number | undefined {
  if (key === undefined) return undefined;
  const seconds = (ticks: number): number => (ticks * tick.numerator) / tick.denominator;
  if (reliable) return seconds(key - (stamps[0] ?? 0));
  const counted = countedAt?.[key];
  return counted === undefined ? (key * rate.denominator) / rate.numerator : seconds(counted - (countedAt?.[0] ?? 0));
}

interface Published {
  readonly count: number;
  readonly indexAt: (i: number) => number;
}

function publishedNames({ rate, packets }: ClipTimes, fps: number): Published {
  const { count, indexAt } = sampling(rate, packets, fps);
  return { count, indexAt: count === 0 ? () => 0 : indexAt };
}

/** Ticks per sampling interval, as a fraction. */
function interval({ tick }: ClipTimes, fps: number): Rational {
  return samplingRate({ numerator: tick.denominator, denominator: tick.numerator }, fps);
}

/** int(T · fps). T is the time from the beginning to the end of the last picture. */
function timedCount(times: ClipTimes, fps: number): number {
  const { stamps, lastDuration } = times;
  const { numerator, denominator } = interval(times, fps);
  return floorOf((stamps.at(-1) ?? 0) + lastDuration - (stamps[0] ?? 0), denominator, numerator);
}

/** Returns true if the pictures of the published rule are shown at their seconds. */
function holds(times: ClipTimes, fps: number, published: Published, timed: number): boolean {
  const { stamps, lastDuration } = times;
  const { numerator, denominator } = interval(times, fps);
  const step = numerator / denominator;
  const named = Math.max(1, published.count);
  // an edit list can hide the end of a stream, so indices without a picture do not count
  let shown = 0;
  let low = 0;
  for (let high = named; low < high;) {
    const middle = Math.floor((low + high) / 2);
    if (published.indexAt(middle) < stamps.length) low = middle + 1;
    else high = middle;
    shown = low;
  }
  if (Math.abs(shown - Math.max(1, timed)) >= 2) return false;
  return evenIndices(shown, MOST_CHECKED).every((i) => {
    const index = published.indexAt(i);
    const from = (stamps[index] ?? 0) - (stamps[0] ?? 0);
    const to = index + 1 < stamps.length ? (stamps[index + 1] ?? 0) - (stamps[0] ?? 0) : from + lastDuration;
    return i * step >= from - step / 2 && i * step <= to + step / 2;
  });
}

/**
 * Names pictures by round(time · rate) if all time stamps are on the grid of the rate. Pictures that the file lost then
 * do not shift the others. If the picture itself is missing, the picture before it is shown.
 */
function gridNames(times: ClipTimes, indexAt: (i: number) => number): ((i: number) => Named) | undefined {
  const { stamps, rate, tick } = times;
  const scale = (tick.numerator / tick.denominator) * (rate.numerator / rate.denominator);
  const first = stamps[0] ?? 0;
  const onGrid = stamps.every((stamp) => {
    const place = (stamp - first) * scale;
    return Math.abs(place - Math.round(place)) < 0.25;
  });
  if (!onGrid) return undefined;
  const end = Math.round(((stamps.at(-1) ?? 0) - first) * scale);
  return (i) => {
    const index = indexAt(i);
    if (index > end) return { index, key: undefined };
    return { index, key: stamps[lastUpTo(stamps, first + (index + 0.25) / scale)] };
  };
}

/** Returns the last picture with a time stamp of at most i sampling intervals. */
function shownAt(times: ClipTimes, fps: number, i: number): Named {
  const { numerator, denominator } = interval(times, fps);
  const index = lastUpTo(times.stamps, (times.stamps[0] ?? 0) + floorOf(i, numerator, denominator));
  return { index, key: times.stamps[index] };
}

/** Returns the index of the last entry that is at most `limit`, or 0 if there is none. */
function lastUpTo(stamps: Float64Array, limit: number): number {
  let low = 0;
  for (let high = stamps.length; low < high;) {
    const middle = Math.floor((low + high) / 2);
    if ((stamps[middle] ?? 0) <= limit) low = middle + 1;
    else high = middle;
  }
  return Math.max(0, low - 1);
}
