import { appendFile, mkdtemp, rm, truncate, writeFile } from 'node:fs/promises';
import { createReadStream } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { followLines, wholeLines, wholeRuns, type Line, type LineOptions } from '../../../src/base/files/lines.js';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'qalign-lines-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

/** Chunks of `size` bytes, all in one reused buffer. */
async function* pieces(bytes: Buffer, size: number): AsyncGenerator<Buffer> {
  const buffer = Buffer.alloc(size);
  for (let at = 0; at < bytes.length; at += size) {
    const length = bytes.copy(buffer, 0, at, at + size);
    yield buffer.subarray(0, length);
  }
}
async function all(lines: AsyncIterable<Line>): Promise<Line[]> {
  const found: Line[] = [];
  for await (const line of lines) found.push(line);
  return found;
}
const textsOf = async (text: string | Buffer, size: number, options?: LineOptions): Promise<string[]> =>
  (await all(wholeLines(pieces(Buffer.from(text), size), options))).map((line) => line.text);

describe('wholeLines', () => {
  const text = 'one\n\n漢字 é 🙂\u2028x\r\n\ufefflast\nhalf';

  it('returns the same lines and offsets for all chunk sizes, without the incomplete line', async () => {
    const bytes = Buffer.from(text);
    const expected = ['one', '', '漢字 é 🙂\u2028x\r', '\ufefflast'];
    for (let size = 1; size <= bytes.length; size++) {
      const lines = await all(wholeLines(pieces(bytes, size)));
      expect(lines.map((line) => line.text)).toEqual(expected);
      expect(lines.map((line) => line.number)).toEqual([1, 2, 3, 4]);
      for (const { start, end, text: one } of lines) expect(bytes.subarray(start, end).toString()).toBe(`${one}\n`);
      expect(lines.at(-1)?.end).toBe(bytes.length - 'half'.length);
    }
  });

  it('returns an incomplete last line on request', async () => {
    for (const size of [1, 2, 64]) {
      expect((await textsOf(text, size, { tail: true })).at(-1)).toBe('half');
      expect(await textsOf('a\nb\n', size, { tail: true })).toEqual(['a', 'b']);
      expect(await textsOf('half', size)).toEqual([]);
      expect(await textsOf('', size, { tail: true })).toEqual([]);
    }
  });

  it('keeps the offsets of bytes that are not UTF-8', async () => {
    const bytes = Buffer.from([0x61, 0xff, 0x0a, 0xe6, 0xbc]); // cut inside a character
    expect(await all(wholeLines(pieces(bytes, 2)))).toEqual([{ number: 1, text: 'a\ufffd', start: 0, end: 3 }]);
  });

  it('decodes with the given function, which gets the line number', async () => {
    const decode = (bytes: Buffer, number: number): string => `${number}:${bytes.toString('hex')}`;
    expect(await textsOf('a\nb', 1, { decode, tail: true })).toEqual(['1:61', '2:62']);
  });

  it('limits the length of an unfinished line', async () => {
    const endless = async function* (): AsyncGenerator<Buffer> {
      yield Buffer.from('first\n');
      for (;;) yield Buffer.alloc(1000, 'a');
    };
    const read: string[] = [];
    const work = async (tooLong?: () => Error): Promise<void> => {
      for await (const line of wholeLines(endless(), { most: 10_000, ...(tooLong && { tooLong }) }))
        read.push(line.text);
    };
    await expect(work(() => new Error(`after ${read.length}`))).rejects.toThrow('after 1');
    await expect(work()).rejects.toThrow(RangeError);
    // a long line within one chunk is not buffered
    expect(await textsOf(`${'a'.repeat(20)}\n`, 21, { most: 10 })).toEqual(['a'.repeat(20)]);
  });

  it('reads a line of 32 MB in chunks of 64 kB in linear time', async () => {
    const started = performance.now();
    const [line] = await all(
      wholeLines(pieces(Buffer.concat([Buffer.alloc(2 ** 25, 'a'), Buffer.from('\n')]), 2 ** 16)),
    );
    expect(line?.end).toBe(2 ** 25 + 1);
    // copying the buffer for every chunk would move 8 GB
    expect(performance.now() - started).toBeLessThan(2_000);
  });

  it('ends with the error of its source', async () => {
    await expect(all(wholeLines(createReadStream(join(folder, 'none'))))).rejects.toMatchObject({ code: 'ENOENT' });
  });
});

describe('wholeRuns', () => {
  it('cuts at the given positions, into adjacent runs that cover everything', async () => {
    const bytes = Buffer.from('a;bc;;def');
    for (let size = 1; size <= bytes.length; size++) {
      const options = { tail: true, wholeLength: (chunk: Buffer): number => chunk.lastIndexOf(';') + 1 };
      let place = 0;
      for await (const run of wholeRuns(pieces(bytes, size), options)) {
        expect(run.start).toBe(place);
        expect(run.bytes.equals(bytes.subarray(place, place + run.bytes.length))).toBe(true);
        place += run.bytes.length;
        if (place < bytes.length) expect(run.bytes.at(-1)).toBe(0x3b);
      }
      expect(place).toBe(bytes.length);
    }
  });
});

describe('followLines', () => {
  it('waits for the file and for the end of each line, and drops an incomplete last line', async () => {
    const file = join(folder, 'events.jsonl');
    let ended = false;
    const seen: string[] = [];
    const reading = (async () => {
      for await (const { number, text } of followLines(file, () => ended)) seen.push(`${number} ${text}`);
    })();
    await writeFile(file, 'a\nb');
    await expect.poll(() => seen).toEqual(['1 a']);
    await appendFile(file, 'c\n');
    await expect.poll(() => seen).toEqual(['1 a', '2 bc']);
    await appendFile(file, 'd\ntorn');
    ended = true;
    await reading;
    expect(seen).toEqual(['1 a', '2 bc', '3 d']);
  });

  it('starts at an offset, and returns the existing lines when its signal is aborted', async () => {
    const file = join(folder, 'events.jsonl');
    await writeFile(file, 'a\nb\n');
    const stop = new AbortController();
    const lines = followLines(file, () => false, stop.signal, 2);
    expect((await lines.next()).value).toMatchObject({ number: 1, text: 'b' });
    await appendFile(file, 'c\n');
    stop.abort();
    expect((await all(lines)).map(({ text }) => text)).toEqual(['c']);
  });

  it('continues after the file became shorter', async () => {
    const file = join(folder, 'events.jsonl');
    await writeFile(file, 'a\nb\n');
    await truncate(file, 2);
    expect((await all(followLines(file, () => true, undefined, 4))).length).toBe(0);
  });
});
