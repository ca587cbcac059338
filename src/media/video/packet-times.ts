import type { Rational } from './frame-indices.js';

/** One packet of a video stream, in decoding order. Times in ticks; undefined where the file has none. */
export interface Packet {
  readonly pts: number | undefined;
  /** When it is decoded, in seconds. */
  readonly decoded: number | undefined;
  readonly duration: number | undefined;
  readonly key: boolean;
  /** Decoded but never shown, as edit lists ask for. */
  readonly discard: boolean;
  readonly encrypted: boolean;
}

/** What the packets of one stream say; 8 bytes for each of them. */
export interface PacketTimes {
  readonly packets: number;
  readonly encrypted: boolean;
  /** Packets that come before the first one that can be decoded. */
  readonly leading: number;
  /** Stamp of the first packet that can be decoded by itself; pictures before it may be missing. */
  readonly firstKey: number | undefined;
  /** Of the pictures that are shown, ascending, each once. */
  readonly stamps: Float64Array;
  readonly lastDuration: number;
  /** When the packets are decoded, in ticks, ascending, from the first key packet on; undefined where one lacks it. */
  readonly decodedAt: Float64Array | undefined;
  /** Share of the shown packets that lack a stamp. */
  readonly lacking: number;
  /** The decoding stamps start again, or jump, as in joined recordings. */
  readonly jumps: boolean;
}

/** Seconds that decoding times may go back; more means that another recording begins, or that a stamp is damaged. */
const MOST_BACK = 0.5;
/** Seconds from decoding to showing, or four of the largest steps; stamps beyond are damaged. */
const MOST_REORDERED = 1;
/** Seconds between two packets of a broadcast format that are still taken for one picture shown so long. */
const MOST_GAP = 60;
/** Packets at the end whose pictures may be shown long after the last decoding time: twice the deepest reordering. */
const TAIL = 32;

/** Collects the packets of one stream as they are read. */
export function createPacketTimes(): {
  add(packet: Packet): void;
  finish(stream: { readonly tick: Rational; readonly hidesPackets: boolean; readonly broadcast: boolean }): PacketTimes;
} {
  const stamps = createNumbers();
  const decodingTimes = createNumbers(); // in seconds, NaN where there is none
  let [packets, leading, shown, lacking] = [0, 0, 0, 0];
  let [started, encrypted] = [false, false];
  let firstKey: number | undefined;
  let pending: Packet | undefined; // the last packet: the next one tells whether its stamp is damaged
  let before: number | undefined; // decoding time of the one before it
  let [back, gap] = [0, 0]; // largest steps of the decoding times
  let [first, last] = [Infinity, -Infinity]; // decoding times
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
  /** What comes before the first key packet is not counted among the pictures; without any all are. */
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
      const ticks = tick.denominator / tick.numerator; // a second
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

/** A list that takes 8 bytes a number. */
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

/** Ascending; undefined where one is lacking. */
function inTicks(seconds: Float64Array, ticks: number): Float64Array | undefined {
  return seconds.some(Number.isNaN) ? undefined : seconds.map((time) => Math.round(time * ticks)).sort();
}

/** A time that lies far off, while those before and after it belong together. */
function isDamaged(before: number | undefined, time: number | undefined, after: number | undefined): boolean {
  if (before === undefined || time === undefined || after === undefined) return false;
  const returns = after > before - MOST_BACK && after < before + 2 * MOST_BACK;
  return returns && (time < before - MOST_BACK || time > after + MOST_BACK);
}

/** Seconds after a picture at which a packet that shows nothing (VP8's alternate reference) is put. */
const HIDDEN_WITHIN = 0.0015;

/** In place: entries within `ticks` of the one before are left out. */
function distinct(sorted: Float64Array, ticks: number): Float64Array {
  let kept = 0;
  for (const stamp of sorted) if (kept === 0 || stamp - (sorted[kept - 1] ?? 0) > ticks) sorted[kept++] = stamp;
  return sorted.subarray(0, kept);
}
