import { open } from 'node:fs/promises';

/** A whole line of a file that grows, and its number from 1. */
export interface Line {
  readonly number: number;
  readonly text: string;
}

const POLL_MS = 100;

/**
 * Follows an append-only file from byte `offset` until `ended()` says that nobody writes any more. A torn last line is
 * not given.
 */
export async function* followLines(
  file: string,
  ended: () => boolean,
  signal?: AbortSignal,
  offset = 0,
): AsyncGenerator<Line, void, undefined> {
  let place = offset;
  let number = 0;
  let rest = Buffer.alloc(0);
  for (;;) {
    const last = ended() || signal?.aborted === true;
    for (let fresh = await readFrom(file, place); fresh.length > 0; fresh = await readFrom(file, place)) {
      place += fresh.length;
      rest = Buffer.concat([rest, fresh]);
      for (let end = rest.indexOf(10); end >= 0; end = rest.indexOf(10)) {
        number += 1;
        yield { number, text: rest.toString('utf8', 0, end) };
        rest = rest.subarray(end + 1);
      }
    }
    if (last) return;
    await new Promise((done) => setTimeout(done, POLL_MS));
  }
}

/** At most a megabyte, so that a long file is never held whole. */
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
