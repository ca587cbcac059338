import type { FileHandle } from 'node:fs/promises';

const READ = 4 * 1024 ** 2; // bytes per read
const SYNC = 0x47;
const SIZES = [188, 192, 204] as const; // bytes per packet: plain, with a time code before it, with parity after it
const NEEDED = 4; // consecutive packets that identify a packet start

/**
 * Counts the places where a transport stream is broken or lacks packets of one programme element, by its counters. This
 * is needed because ffmpeg reports neither missing pictures nor pictures that depend on them.
 *
 * @param pid number of the element, 0 … 8191
 */
export async function lostPackets(handle: FileHandle, pid: number, signal?: AbortSignal): Promise<number> {
  const buffer = Buffer.alloc(READ);
  const counter = createCounter(pid);
  let kept = 0; // unused bytes of the previous read
  for (let from = 0; ;) {
    signal?.throwIfAborted();
    const { bytesRead } = await handle.read(buffer, kept, READ - kept, from);
    if (bytesRead === 0) return counter.gaps();
    from += bytesRead;
    const filled = kept + bytesRead;
    const used = counter.read(buffer.subarray(0, filled));
    buffer.copyWithin(0, used, filled);
    kept = filled - used;
  }
}

/** `read` takes the next bytes and returns how many of them it has consumed. */
export function createCounter(pid: number): { read(bytes: Uint8Array): number; gaps(): number } {
  let size: number | undefined; // size of a packet while packets are consecutive
  let started = false;
  let last: number | undefined; // counter of the last packet
  let gaps = 0;
  const take = (bytes: Uint8Array, at: number): void => {
    const [high = 0, low = 0, flags = 0] = bytes.subarray(at + 1, at + 4);
    if ((((high & 0x1f) << 8) | low) !== pid || (flags & 0x10) === 0) return;
    const counter = flags & 15;
    const announced = (flags & 0x20) !== 0 && (bytes[at + 4] ?? 0) > 0 && ((bytes[at + 5] ?? 0) & 0x80) !== 0;
    const follows = last === undefined || counter === last || counter === ((last + 1) & 15);
    if ((high & 0x80) !== 0 || (!follows && !announced)) gaps += 1;
    last = counter;
  };
  return {
    read(bytes) {
      let at = 0;
      while (at + NEEDED * 204 <= bytes.length) {
        if (bytes[at] !== SYNC) size = undefined;
        else if (size === undefined) {
          size = SIZES.find((step) => {
            for (let k = 1; k < NEEDED; k++) if (bytes[at + k * step] !== SYNC) return false;
            return true;
          });
          if (size !== undefined && started) {
            gaps += 1; // the overwritten bytes were at least one packet
            last = undefined;
          }
          started ||= size !== undefined;
        }
        if (size !== undefined) take(bytes, at);
        at += size ?? 1;
      }
      return Math.min(at, bytes.length);
    },
    gaps: () => gaps,
  };
}
