import { open } from 'node:fs/promises';

/** Consecutive complete lines as bytes, with line ends, and their byte offset in the source. */
export interface Run {
  readonly bytes: Buffer;
  readonly start: number;
}

/** A line without its line end. `start` and `end` are byte offsets in the source. `end` is after the line end. */
export interface Line {
  /** Counted from 1. */
  readonly number: number;
  readonly text: string;
  readonly start: number;
  readonly end: number;
}

export interface RunOptions {
  /** Also yield the bytes after the last line end. By default they are dropped as an incomplete line. */
  readonly tail?: boolean;
  /**
   * Maximum number of bytes of an unfinished line. The default is far above the length of any line that qalign writes.
   */
  readonly most?: number;
  /** Creates the error for a longer line. Default: a RangeError. */
  readonly tooLong?: () => Error;
  /**
   * Returns the length of the complete lines at the start of a chunk at byte offset `place`. By default lines end in
   * LF.
   */
  readonly wholeLength?: (chunk: Buffer, place: number) => number;
}

export interface LineOptions extends RunOptions {
  /** Decodes a line. Default: UTF-8 with replacement characters. */
  readonly decode?: (bytes: Buffer, number: number) => string;
}

/** V8 can still make a string of this many bytes, even if every byte becomes a character. */
const MOST_HELD = 1 << 28;
const POLL_MS = 100;
const LF = 0x0a;

/**
 * Cuts chunks of bytes after their last line end. Memory holds one chunk and the unfinished line before it. Bytes that
 * are kept are copied, so the source can reuse its buffer.
 */
export async function* wholeRuns(
  chunks: AsyncIterable<Uint8Array>,
  { tail = false, most = MOST_HELD, tooLong, wholeLength = (chunk) => chunk.lastIndexOf(LF) + 1 }: RunOptions = {},
): AsyncGenerator<Run, void, undefined> {
  let held: Buffer[] = [];
  let length = 0;
  let start = 0;
  for await (const data of chunks) {
    const chunk = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
    const whole = wholeLength(chunk, start + length);
    if (whole > 0) {
      const bytes = length === 0 ? chunk.subarray(0, whole) : Buffer.concat([...held, chunk.subarray(0, whole)]);
      yield { bytes, start };
      start += bytes.length;
      [held, length] = [[], 0];
    }
    if (whole < chunk.length) held.push(Buffer.from(chunk.subarray(whole)));
    length += chunk.length - whole;
    if (length > most) throw tooLong?.() ?? new RangeError(`A line is longer than ${most} bytes.`);
  }
  if (tail && length > 0) yield { bytes: Buffer.concat(held), start };
}

/** Yields the lines of these runs one at a time. Lines end in LF. A CR before the LF stays in the text. */
export async function* wholeLines(
  chunks: AsyncIterable<Uint8Array>,
  { decode = (bytes) => bytes.toString(), ...options }: LineOptions = {},
): AsyncGenerator<Line, void, undefined> {
  let number = 0;
  for await (const { bytes, start } of wholeRuns(chunks, options)) {
    for (let from = 0; from < bytes.length;) {
      const found = bytes.indexOf(LF, from);
      const [to, next] = found < 0 ? [bytes.length, bytes.length] : [found, found + 1];
      number += 1;
      yield { number, text: decode(bytes.subarray(from, to), number), start: start + from, end: start + next };
      from = next;
    }
  }
}

/**
 * Follows an append-only file from byte `offset` until `ended()` returns true. The file can be created later. The
 * offsets of the lines are relative to `offset`.
 */
export function followLines(
  file: string,
  ended: () => boolean,
  signal?: AbortSignal,
  offset = 0,
): AsyncGenerator<Line, void, undefined> {
  return wholeLines(growth(file, () => ended() || signal?.aborted === true, offset));
}

async function* growth(
  file: string,
  ended: () => boolean,
  offset: number,
): AsyncGenerator<Uint8Array, void, undefined> {
  let place = offset;
  for (;;) {
    const last = ended();
    for (let fresh = await readFrom(file, place); fresh.length > 0; fresh = await readFrom(file, place)) {
      place += fresh.length;
      yield fresh;
    }
    if (last) return;
    await new Promise((done) => setTimeout(done, POLL_MS));
  }
}

/** Reads at most 1 MiB, so that a long file is never in memory as a whole. */
async function readFrom(file: string, offset: number): Promise<Buffer> {
  const handle = await open(file, 'r').catch(() => undefined);
  if (handle === undefined) return Buffer.alloc(0);
  try {
    const { size } = await handle.stat();
    const buffer = Buffer.alloc(Math.min(2 ** 20, Math.max(0, size - offset)));
    const { bytesRead } = await handle.read(buffer, 0, buffer.length, offset);
    return buffer.subarray(0, bytesRead);
  } finally {
    await handle.close();
  }
}
