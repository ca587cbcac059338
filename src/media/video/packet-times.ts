import type { Rational } from './frame-indices.js';

/** One packet of a video stream, in decoding order. Times are in ticks, or undefined if the file has none. */
export interface Packet {
  readonly pts: number | undefined;
  /** Decoding time in seconds. */
  readonly decoded: number | undefined;
  readonly duration: number | undefined;
  readonly key: boolean;
  /** Decoded but never shown, as an edit list requires. */
  readonly discard: boolean;
  readonly encrypted: boolean;
}

/** Timing of the packets of one stream. It takes 8 bytes per packet. */
export interface PacketTimes {
  readonly packets: number;
  readonly encrypted: boolean;
  /** Number of packets before the first packet that can be decoded. */
  readonly leading: number;
  /** Time stamp of the first packet that can be decoded alone. Pictures before it can be missing. */
  readonly firstKey: number | undefined;
  /** Time stamps of the shown pictures, ascending and distinct. */
  readonly stamps: Float64Array;
  readonly lastDuration: number;
  /** Decoding times in ticks from the first key packet on, ascending. Undefined if a packet lacks one. */
  readonly decodedAt: Float64Array | undefined;
  /** Fraction of the shown packets that lack a time stamp. */
  readonly lacking: number;
  /** Decoding times restart or jump, as in joined recordings. */
  readonly jumps: boolean;
}

/** Seconds that decoding times can go back. A larger step is a new recording or a damaged time stamp. */
const MOST_BACK = 0.5;
/** Seconds from decoding to display, or four of the largest steps if that is more. Later time stamps are damaged. */
const MOST_REORDERED = 1;
/**
 * Longest gap in seconds between two packets of a broadcast format. The picture before it counts as shown that long.
 */
const MOST_GAP = 60;
/** Packets at the end with a display time long after the last decoding time: twice the deepest reordering. */
const TAIL = 32;

/** Collects the packets of one stream while they are read. */
export function createPacketTimes(): {
  add(packet: Packet): void;
  finish(stream: { readonly tick: Rational; readonly hidesPackets: boolean; readonly broadcast: boolean }): PacketTimes;
} {
  const stamps = createNumbers();
  const decodingTimes = createNumbers(); // in seconds, NaN if unknown
  let [packets, leading, shown, lacking] = [0, 0, 0, 0];
  let [started, encrypted] = [false, false];
  let firstKey: number | undefined;
  let pending: Packet | undefined; // The last packet, judged when the next one arrives.
  let before: number | undefined; // Decoding time of the packet before it.
  let [back, gap] = [0, 0]; // Largest backward and forward steps of the decoding times.
  let [first, last] = [Infinity, -Infinity]; // Decoding times.
  let [lastStamp, lastDuration] = [-Infinity, 0];
  const keep = (pts: number, duration: number): void => {
    stamps.add(pts);
    if (pts < lastStamp) return;
    [lastStamp, lastDuration] = [pts, duration];
  };
  const settle = (packet: Packet, next: Packet | undefined): void => {
    const damaged = isDamaged(before, packet.decoded, next?.decoded);
    if (packet.decoded !== undefined && !damaged) {
      const by = packet.decoded - (before ?? packet.decoded);
      back = Math.max(back, -by);
      gap = Math.max(gap, by);
      before = packet.decoded;
      first = Math.min(first, before);
      last = Math.max(last, before);
    }
    if (packet.discard) return;
    decodingTimes.add(damaged ? undefined : packet.decoded);
    shown += 1;
    if (packet.pts === undefined || damaged) lacking += 1;
    else keep(packet.pts, packet.duration ?? 0);
  };
  /** Pictures before the first key packet are not counted. Without a key packet, all pictures are counted. */
  const begin = (packet: Packet): void => {
    started = true;
    firstKey = packet.pts;
    leading = packets;
    stamps.clear();
    decodingTimes.clear();
    [shown, lacking, lastStamp] = [0, 0, -Infinity];
  };
  return {
    add(packet) {
      if (pending !== undefined) settle(pending, packet);
      if (packet.key && !started) begin(packet);
      pending = packet;
      packets += 1;
      encrypted ||= packet.encrypted;
    },
    finish({ tick, hidesPackets, broadcast }) {
      if (pending !== undefined) settle(pending, undefined);
      pending = undefined;
      const ticks = tick.denominator / tick.numerator; // ticks per second
      const tail = broadcast ? new Set(stamps.all().slice(-TAIL)) : undefined;
      let sorted = stamps.all().sort();
      if (tail !== undefined && sorted.length > 0) {
        const reordered = Math.max(MOST_REORDERED, 4 * gap);
        const latest = (stamp: number): number => (last + (tail.has(stamp) ? MOST_GAP : reordered)) * ticks;
        const kept = sorted.filter((stamp) => stamp <= latest(stamp) && stamp >= (first - MOST_BACK) * ticks);
        if (kept.at(-1) !== sorted.at(-1)) lastDuration = 0;
        sorted = kept;
      }
      return {
        packets,
        encrypted,
        leading,
        firstKey,
        stamps: distinct(sorted, hidesPackets ? HIDDEN_WITHIN * ticks : 0),
        lastDuration,
        decodedAt: inTicks(decodingTimes.all(), ticks),
        lacking: shown === 0 ? 0 : lacking / shown,
        jumps: back > MOST_BACK || (broadcast && gap > MOST_GAP),
      };
    },
  };
}

/** A growing list of numbers that takes 8 bytes per number. */
function createNumbers() {
  let numbers = new Float64Array(1024);
  let count = 0;
  return {
    add(value = NaN): void {
      if (count === numbers.length) {
        const larger = new Float64Array(2 * count);
        larger.set(numbers);
        numbers = larger;
      }
      numbers[count++] = value;
    },
    clear(): void {
      count = 0;
    },
    all: () => numbers.subarray(0, count),
  };
}

/** Converts seconds to ticks, ascending. Returns undefined if one is missing. */
function inTicks(seconds: Float64Array, ticks: number): Float64Array | undefined {
  return seconds.some(Number.isNaN) ? undefined : seconds.map((time) => Math.round(time * ticks)).sort();
}

/** Returns true if a time is far from the times before and after it, while these two are close to each other. */
function isDamaged(before: number | undefined, time: number | undefined, after: number | undefined): boolean {
  if (before === undefined || time === undefined || after === undefined) return false;
  const returns = after > before - MOST_BACK && after < before + 2 * MOST_BACK;
  return returns && (time < before - MOST_BACK || time > after + MOST_BACK);
}

/** Maximum seconds between a picture and a hidden packet after it (VP8's alternate reference frame). */
const HIDDEN_WITHIN = 0.0015;

/** Removes entries within `ticks` of the entry before, in place. */
function distinct(sorted: Float64Array, ticks: number): Float64Array {
  let kept = 0;
  for (const stamp of sorted) if (kept === 0 || stamp - (sorted[kept - 1] ?? 0) > ticks) sorted[kept++] = stamp;
  return sorted.subarray(0, kept);
}
