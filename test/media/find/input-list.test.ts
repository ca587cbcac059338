import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { packageRoot } from '../../../src/base/package-root.js';
import { listedNames, readStdin } from '../../../src/media/find/input-list.js';
import type { SourceName } from '../../../src/media/sources.js';

const picture = readFileSync(join(packageRoot, 'test/fixtures/pictures/pristine.jpg'));
const clip = readFileSync(join(packageRoot, 'test/fixtures/pictures/pan.mp4'));
const stream = (...chunks: (string | Buffer)[]): AsyncIterable<Buffer | string> => Readable.from(chunks);

describe('listedNames', () => {
  const list = async (...chunks: (string | Buffer)[]): Promise<SourceName[]> => {
    const found: SourceName[] = [];
    for await (const name of listedNames(stream(...chunks))) found.push(name);
    return found;
  };
  it.each([
    ['lines', ['a.jpg\nb', '.jpg\n\nc.jpg'], ['a.jpg', 'b.jpg', 'c.jpg']],
    ['Windows lines', ['a.jpg\r\nb.jpg\r\n'], ['a.jpg', 'b.jpg']],
    ['Windows lines after a byte order mark', ['\ufeffa.jpg\r\nb.jpg'], ['a.jpg', 'b.jpg']],
    ['NULs, names with line breaks', ['a\nb.jpg\0c', '.jpg\0'], ['a\nb.jpg', 'c.jpg']],
    ['a single name', ['a.jpg'], ['a.jpg']],
    ['nothing, blanks and itself', ['', ' \n-\n'], []],
  ])('reads %s', async (_what, chunks, expected) => {
    expect(await list(...chunks)).toEqual(expected);
  });
  it('joins characters that are split between chunks', async () => {
    const bytes = Buffer.from('bäume.jpg\n');
    expect(await list(bytes.subarray(0, 2), bytes.subarray(2))).toEqual(['bäume.jpg']);
  });
  it('keeps the bytes of names that are not UTF-8', async () => {
    const name = Buffer.from('caf\xe9.jpg', 'latin1');
    expect(await list(Buffer.concat([name, Buffer.from('\nb.jpg\n')]))).toEqual([{ path: name }, 'b.jpg']);
    expect(await list(Buffer.concat([name, Buffer.from('\0')]))).toEqual([{ path: name }]);
  });
});

describe('readStdin', () => {
  const kind = async (...chunks: (string | Buffer)[]): Promise<string> => (await readStdin(stream(...chunks))).is;

  it.each<[string, (string | Buffer)[], string]>([
    ['a picture', [picture], 'media'],
    ['a picture that comes in small parts', [...picture].map((byte) => Buffer.from([byte])), 'media'],
    ['a clip', [clip], 'media'],
    ['raw frames with a line of text before them', ['YUV4MPEG2 W2 H2 F25:1\nFRAME\n', Buffer.alloc(6, 0x80)], 'media'],
    ['lines', ['a.jpg\nb.jpg\n'], 'list'],
    ['names with NUL between', ['a.jpg\0b.jpg\0'], 'list'],
    ['one name', ['a.jpg'], 'list'],
    ['nothing', [], 'list'],
    ['names that begin as magic words do', ['BM01.jpg\nGIF89a.gif\nRIFF.webp\n'], 'list'],
    ['names that begin so, with NUL between', ['BM01.jpg\0BM02.jpg\0'], 'list'],
    ['names that are not UTF-8', [Buffer.from('caf\xe9.jpg\nna\xefve.jpg\n', 'latin1')], 'list'],
    ['names in Japanese', ['写真.jpg\n'], 'list'],
  ])('recognises %s', async (_what, chunks, expected) => {
    expect(await kind(...chunks)).toBe(expected);
  });

  it('does not wait for more than the first line of a list', async () => {
    async function* slow(): AsyncGenerator<Buffer> {
      yield Buffer.from('a.jpg\n');
      await new Promise(() => {});
    }
    expect((await readStdin(slow())).is).toBe('list');
  });

  it.each<[string, Buffer, RegExp]>([
    ['bytes of no format', Buffer.from([7, 0, 0, 1, 2, 3, 10, 0, 0, 9]), /neither a list of file names/],
    ['a list in UTF-16', Buffer.from('\ufeffa.jpg\n', 'utf16le'), /UTF-16/],
    ['such a list without its mark', Buffer.from('photo.jpg\r\n', 'utf16le'), /UTF-16/],
    ['such a list with the high byte first', Buffer.from('photo.jpg\n', 'utf16le').swap16(), /UTF-16/],
  ])('refuses %s in one sentence', async (_what, bytes, message) => {
    await expect(readStdin(stream(bytes))).rejects.toThrow(message);
  });

  it('returns all bytes', async () => {
    const { bytes } = await readStdin(stream(picture.subarray(0, 10), picture.subarray(10)));
    const parts: Buffer[] = [];
    for await (const part of bytes) parts.push(part);
    expect(Buffer.concat(parts).equals(picture)).toBe(true);
  });
});
