import type { FrameRule } from '../../prompts/subject.js';
import { evenIndices, floorOf, sampling, samplingRate, type Rational } from './frame-indices.js';

/** What the packets of a video stream say about its pictures. Time stamps in ticks. */
export interface ClipTimes {
  /** All packets, as the reference counts them. */
  readonly packets: number;
  /** Average rate of the clip in pictures a second. */
  readonly rate: Rational;
  /** False where the file names none and it was taken from the stamps. */
  readonly rateIsNamed: boolean;
  /** Seconds a tick. */
  readonly tick: Rational;
  /** Of the pictures that are shown, ascending, each once; the first is the beginning of the clip. */
  readonly stamps: Float64Array;
  /** How long the last of them is shown; 0 where the file does not say. */
  readonly lastDuration: number;
  /** False where packets lack stamps or stamps jump: then pictures are counted. */
  readonly reliable: boolean;
  /** For counted pictures: the time of each, but for a constant, ascending; undefined where that is not known. */
  readonly countedAt?: Float64Array | undefined;
}

export interface ChoiceOptions {
  /** Pictures a second; 1 by default. */
  readonly fps?: number | undefined;
  readonly maxFrames?: number | undefined;
  readonly frameRule?: 'auto' | 'published' | undefined;
}

/** One picture that is asked for. */
export interface WantedFrame {
  /** Number of the picture in the clip, in the order of showing. */
  readonly index: number;
  /** Its time stamp in ticks, or its number where pictures are counted; undefined if the clip never shows it. */
  readonly key: number | undefined;
  /** The time that it stands for, in seconds from the beginning. */
  readonly second: number;
}

export interface FrameChoice {
  readonly rule: FrameRule;
  /** What the keys of `wanted` are: numbers of pictures, or time stamps. */
  readonly keys: 'n' | 'pts';
  /** Pictures by the rule, before `maxFrames`. */
  readonly count: number;
  /** The clip is shorter than one sampling interval: its first picture stands for it. */
  readonly short: boolean;
  /** Ascending, repeats allowed. Reading it makes the list: check `count` first. */
  readonly wanted: () => WantedFrame[];
}

/** More positions than this are checked evenly spread, so that absurd rates end at all. */
const MOST_CHECKED = 100_000;

/**
 * Which pictures of a clip are taken. The published rule, int(fps · i) for i < int(packets/fps), holds unless second i
 * lies more than half a sampling interval outside the time in which its picture is shown, or it names two pictures
 * fewer or more than the clip shows by time. Then picture i is the last with a stamp of at most i seconds. Where stamps
 * cannot be trusted, pictures are counted, and their decoding times decide between the two.
 */
export function chooseFrames(times: ClipTimes, options: ChoiceOptions = {}): FrameChoice {
  const { fps = 1, frameRule = 'auto' } = options;
  const published = publishedNames(times, fps);
  const choice = (rule: FrameRule, count: number, nameAt: (i: number) => Named): FrameChoice => ({
    rule,
    keys: times.reliable ? 'pts' : 'n',
    count: Math.max(1, count),
    short: count === 0,
    wanted: () => evenIndices(Math.max(1, count), options.maxFrames).map((i) => ({ ...nameAt(i), second: i / fps })),
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

interface Named {
  readonly index: number;
  readonly key: number | undefined;
}

interface Published {
  readonly count: number;
  readonly indexAt: (i: number) => number;
}

function publishedNames({ rate, packets }: ClipTimes, fps: number): Published {
  const { count, indexAt } = sampling(rate, packets, fps);
  return { count, indexAt: count === 0 ? () => 0 : indexAt };
}

/** Ticks in one sampling interval, as a fraction. */
function interval({ tick }: ClipTimes, fps: number): Rational {
  return samplingRate({ numerator: tick.denominator, denominator: tick.numerator }, fps);
}

/** int(T · fps), T from the beginning to the end of the last picture. */
function timedCount(times: ClipTimes, fps: number): number {
  const { stamps, lastDuration } = times;
  const { numerator, denominator } = interval(times, fps);
  return floorOf((stamps.at(-1) ?? 0) + lastDuration - (stamps[0] ?? 0), denominator, numerator);
}

/** Whether the pictures that the published rule names are those of their seconds. */
function holds(times: ClipTimes, fps: number, published: Published, timed: number): boolean {
  const { stamps, lastDuration } = times;
  const { numerator, denominator } = interval(times, fps);
  const step = numerator / denominator;
  const named = Math.max(1, published.count);
  // an edit list may hide the end of a stream: names without a picture are no pictures
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
 * Names by round(time · rate), where all stamps lie on the grid of the rate: pictures that the file lost then shift
 * nothing. Where one is missing in the file, the picture before it is what is shown.
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

/** The last picture with a stamp of at most i sampling intervals. */
function shownAt(times: ClipTimes, fps: number, i: number): Named {
  const { numerator, denominator } = interval(times, fps);
  const index = lastUpTo(times.stamps, (times.stamps[0] ?? 0) + floorOf(i, numerator, denominator));
  return { index, key: times.stamps[index] };
}

/** The place of the last entry that is at most `limit`; 0 if there is none. */
function lastUpTo(stamps: Float64Array, limit: number): number {
  let low = 0;
  for (let high = stamps.length; low < high;) {
    const middle = Math.floor((low + high) / 2);
    if ((stamps[middle] ?? 0) <= limit) low = middle + 1;
    else high = middle;
  }
  return Math.max(0, low - 1);
}
