import { describe, expect, it } from 'vitest';
import { sniff } from '../../../src/media/decode/magic.js';
import { isMediaFile } from '../../../src/media/find/is-media.js';
import { readStdin } from '../../../src/media/find/input-list.js';

const latin1 = (text: string): Uint8Array => Uint8Array.from(text, (c) => c.charCodeAt(0));

describe('formats that are recognised but not supported', () => {
  it.each([
    ['shot', '\0\0\0\x0cJXL \r\n\x87\n', true],
    ['shot', 'qoif\0\0\x01\0', true],
    ['shot.jpg', 'PK\x03\x04\x14\0', true],
    ['notes', 'PK\x03\x04\x14\0', false],
    ['song.wav', 'RIFF\x24\0\0\0WAVEfmt ', false],
    ['model.safetensors', 'version https://git-lfs.github.com/spec/v1\noid', false],
    ['a.png', 'version https://git-lfs.github.com/spec/v1\noid', true],
    ['index.html', '<!DOCTYPE html>', false],
    ['telephone', '\0\0\0\x18ftypheic\0\0\0\0mif1heic', true],
  ])('%s that starts with %j: included as an input is %j', (name, start, expected) => {
    const bytes = latin1(start);
    expect(isMediaFile(name, bytes, sniff(bytes))).toBe(expected);
  });

  it.each([
    ['BMW.jpg\nFORM 1.png\n', 'list'],
    ['MZ_01.jpg\nID3.png\n', 'list'],
    ['[1] a.jpg\n{2}.png\n', 'list'],
    ['%41.jpg\n', 'list'],
    ['<svg xmlns="http://www.w3.org/2000/svg">\n</svg>\n', 'media'],
    ['%PDF-1.7\n', 'media'],
    ['version https://git-lfs.github.com/spec/v1\noid sha256:1\n', 'media'],
    ['P6\n1 1\n255\nabc', 'media'],
    ['\0\0\0\x0cJXL \r\n\x87\n', 'media'],
  ])('%j on stdin is a %s', async (text, is) => {
    async function* input(): AsyncGenerator<Buffer> {
      yield await Promise.resolve(Buffer.from(text, 'latin1'));
    }
    expect((await readStdin(input())).is).toBe(is);
  });
});
