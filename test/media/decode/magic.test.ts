import { describe, expect, it } from 'vitest';
import { sniff } from '../../../src/media/decode/magic.js';

const ascii = (text: string): Uint8Array => Uint8Array.from(text, (c) => c.charCodeAt(0));

describe('sniff', () => {
  it.each([
    ['\xff\xd8\xff\xe0', 'image', 'jpeg'],
    ['\x89PNG\r\n\x1a\n', 'image', 'png'],
    ['GIF89a', 'image', 'gif'],
    ['RIFF\0\0\0\0WEBPVP8 ', 'image', 'webp'],
    ['RIFF\0\0\0\0AVI LIST', 'video', 'avi'],
    ['RIFF\0\0\0\0WAVE', 'unknown', 'unknown'],
    ['II*\0', 'image', 'tiff'],
    ['MM\0*', 'image', 'tiff'],
    ['BM\0\0', 'image', 'bmp'],
    ['\0\0\0\x1cftypavif\0\0\0\0mif1', 'image', 'avif'],
    ['\0\0\0\x1cftypmif1\0\0\0\0avifmiaf', 'image', 'avif'],
    ['\0\0\0\x18ftypheic\0\0\0\0mif1', 'image', 'heif'],
    ['P6\n2 2 255\n', 'image', 'pnm'],
    ['\0\0\0\x18ftypisom\0\0\0\0avc1', 'video', 'mp4'],
    ['\0\0\0\x14ftypqt  \0\0\0\0', 'video', 'mov'],
    ['\0\0\0\x08wide', 'video', 'mov'],
    ['\x1a\x45\xdf\xa3', 'video', 'matroska'],
    ['OggS', 'video', 'ogg'],
    ['<svg xmlns="', 'unknown', 'unknown'],
    ['\xff\xd8', 'unknown', 'unknown'],
    ['', 'unknown', 'empty'],
  ])('%j is %s %s', (text, kind, format) => {
    expect(sniff(ascii(text))).toMatchObject({ kind, format });
  });

  it('recognises transport streams by their packet size, with and without time codes', () => {
    const stream = new Uint8Array(1000);
    for (let at = 0; at < 1000; at += 188) stream[at] = 0x47;
    expect(sniff(stream)).toEqual({ kind: 'video', format: 'mpeg-ts' });
    stream[188] = 0;
    expect(sniff(stream).kind).toBe('unknown');
    const timed = new Uint8Array(1000);
    for (let at = 4; at < 1000; at += 192) timed[at] = 0x47;
    expect(sniff(timed)).toEqual({ kind: 'video', format: 'mpeg-ts' });
  });
});
