import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { MAX_LINE, readLines } from '../../../src/datasets/read/text.js';

let file: string;
let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'qalign-text-'));
  file = join(folder, 't.csv');
});
afterEach(() => rm(folder, { recursive: true, force: true }));

async function read(bytes: Buffer): Promise<string[]> {
  await writeFile(file, bytes);
  const found: string[] = [];
  for await (const { lines, first } of readLines(file)) {
    expect(first).toBe(found.length + 1);
    found.push(...lines);
  }
  return found;
}
const utf8 = (text: string): Buffer => Buffer.from(text);
const utf16le = (text: string): Buffer => Buffer.from(`\ufeff${text}`, 'utf16le');
const utf16be = (text: string): Buffer => utf16le(text).swap16();

describe.each([
  ['UTF-8', utf8],
  ['UTF-8 with a mark', (text: string): Buffer => utf8(`\ufeff${text}`)],
  ['UTF-16LE', utf16le],
  ['UTF-16BE', utf16be],
] as const)('%s', (_name, encode) => {
  it('ends lines at LF, CRLF and CR, and returns an unterminated last line', async () => {
    expect(await read(encode('a\nb\r\nc\rd\n\r\n\r\re'))).toEqual(['a', 'b', 'c', 'd', '', '', '', 'e']);
    expect(await read(encode('a\r'))).toEqual(['a']);
    expect(await read(encode('a\n\n'))).toEqual(['a', '']);
    expect(await read(encode(''))).toEqual([]);
  });

  // around the 65 536 bytes of a chunk, where a character or a CRLF can be split
  it.each(['\n', '\r\n', '\r'])('splits no line end %j and no character between chunks', async (end) => {
    for (let shift = 0; shift < 8; shift++) {
      const lines = ['x'.repeat(shift), ...Array.from({ length: 9000 }, (_, i) => `é漢🙂${i},\u010a\u0d0a`)];
      expect(await read(encode(lines.join(end)))).toEqual(lines);
    }
  });

  it('keeps a byte order mark inside the text', async () => {
    expect(await read(encode('a\n\ufeffb\n'))).toEqual(['a', '\ufeffb']);
  });
});

describe('invalid text', () => {
  it.each([
    [
      'bad bytes in a later chunk',
      Buffer.concat([utf8('a\n'.repeat(50_000)), Buffer.from([0xe4, 0x0a])]),
      /t\.csv:\d+ \(byte \d+ or after\): .*UTF-8/,
    ],
    ['a character cut at the end', Buffer.concat([utf8('a\nb'), Buffer.from([0xe6, 0xbc])]), /t\.csv:2.*UTF-8/],
    ['half a unit of UTF-16 at the end', Buffer.concat([utf16le('a\nb\n'), Buffer.from([0x61])]), /UTF-16LE/],
    ['a line without an end', Buffer.alloc(MAX_LINE + 200_000, 'a'), /t\.csv:1: the line is longer than/],
    [
      'a later line without an end',
      Buffer.concat([utf8('a\nb\n'), Buffer.alloc(MAX_LINE + 200_000, 'a')]),
      /t\.csv:3: the line/,
    ],
  ])('%s', async (_what, bytes, message) => {
    await expect(read(bytes)).rejects.toMatchObject({
      code: 'DATASET_UNREADABLE',
      message: expect.stringMatching(message) as string,
    });
  });
});
