import { describe, expect, it } from 'vitest';
import { decodeImage } from '../../../src/media/decode/decode.js';
import { sniff } from '../../../src/media/decode/magic.js';
import { DEFAULT_LIMITS } from '../../../src/media/limits.js';

const latin1 = (text: string): Uint8Array => Uint8Array.from(text, (c) => c.charCodeAt(0));
const zeros = (count: number): string => '\0'.repeat(count);
const icon = (type: number): string =>
  `\0\0${String.fromCharCode(type)}\0\x01\0\x10\x10\0\0\x01\0\x20\0\x68\x04\0\0\x16\0\0\0`;

/** The start of a file, parts of its name and of its advice, and whether it replaces a picture or a clip. */
const FOREIGN: [string, string, string, boolean][] = [
  ['\xff\x0a\xfa\x1f', 'JPEG XL', 'convert', true],
  ['\0\0\0\x0cJXL \r\n\x87\n', 'JPEG XL', 'convert', true],
  ['\0\0\0\x0cjP  \r\n\x87\n', 'JPEG 2000', 'convert', true],
  ['\xff\x4f\xff\x51\0\x2f', 'JPEG 2000 codestream', 'convert', true],
  ['P3\n2 2\n255\n1 2 3', 'PNM', 'convert', true],
  ['P7\nWIDTH 2\n', 'PAM', 'convert', true],
  ['PF\n2 2\n-1.0\n', 'PFM', 'convert', true],
  [icon(1), '(ICO)', 'convert', true],
  [icon(2), '(CUR)', 'convert', true],
  [`\0\0\x02${zeros(5)}\0\0\0\0\x10\0\x10\0\x18\0`, 'TGA', 'convert', true],
  [`\x05\0\x0a${zeros(5)}\0\0\0\0\x10\0\x10\0\x20\x28gimp!`, 'TGA', 'convert', true],
  ['8BPS\0\x01', 'PSD', 'convert', true],
  ['IIRO\x08\0', 'raw file (ORF)', 'develop', true],
  ['FUJIFILMCCD-RAW 0201', 'raw file (RAF)', 'develop', true],
  ['\0\0\0\x18ftypcrx \0\0\0\x01crx isom', 'raw file (CR3)', 'develop', true],
  ['<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg">', 'SVG', 'render', true],
  ['%!PS-Adobe-3.0 EPSF-3.0', 'EPS', 'render', true],
  ['%PDF-1.7\n%\xe2\xe3', 'PDF', 'render', false],
  ['\x76\x2f\x31\x01\x02\0\0\0', 'OpenEXR', 'tone-map', true],
  ['#?RADIANCE\n', 'Radiance', 'tone-map', true],
  ['DDS |\0\0\0', 'DDS', 'convert', true],
  ['qoif\0\0', 'QOI', 'convert', true],
  ['SIMPLE  =                    T', 'FITS', 'convert', true],
  [`${zeros(128)}DICM\x02\0`, 'DICOM', 'export', true],
  ['gimp xcf v011\0', 'XCF', 'convert', true],
  ['icns\0\0\x10\0', 'ICNS', 'convert', true],
  [`\x0a\x05\x01\x08\0\0\0\0\x0f\0\x0f\0${zeros(116)}`, 'PCX', 'convert', true],
  ['\xd7\xcd\xc6\x9a\0\0', 'WMF', 'render', true],
  ['<!DOCTYPE html>\n<html>', 'HTML', 'address of the picture', false],
  ['<rss version="2.0">', 'XML', 'give a picture', false],
  ['{"error": "not found"}', 'JSON', 'give a picture', false],
  ['caf\xc3\xa9, a list of names\n', 'text file', 'give a picture', false],
  ['\xff\xfeH\0i\0', 'text file', 'give a picture', false],
  ['PK\x03\x04\x14\0', 'ZIP', 'unpack', false],
  ['\x1f\x8b\x08\0', 'gzip', 'unpack', false],
  ["7z\xbc\xaf'\x1c\0\x04", '7z', 'unpack', false],
  ['Rar!\x1a\x07\x01\0', 'RAR', 'unpack', false],
  [`names/${zeros(251)}ustar\0`, 'tar', 'unpack', false],
  ['RIFF\x24\0\0\0WAVEfmt ', 'sound (WAV)', 'give a picture', false],
  ['ID3\x04\0\0', 'sound (MP3)', 'give a picture', false],
  ['\xff\xfb\x90\x64\0', 'sound (MP3', 'give a picture', false],
  ['\xff\xf1\x50\x80\0', 'sound (MP3 or AAC)', 'give a picture', false],
  ['fLaC\0\0\0\x22', 'sound (FLAC)', 'give a picture', false],
  ['\x7fELF\x02\x01\x01', 'program', 'give a picture', false],
  ['MZ\x90\0', 'program', 'give a picture', false],
  ['version https://git-lfs.github.com/spec/v1\noid sha256:0\n', 'git-LFS pointer', 'git lfs pull', false],
  ['\0\x05\x16\x07\0\x02\0\0Mac OS X', 'AppleDouble', 'without', false],
];

describe('a file that is neither a picture nor a clip', () => {
  it.each(FOREIGN)('%j is %s: %s', async (start, name, advice, media) => {
    const bytes = latin1(start);
    expect(sniff(bytes)).toMatchObject({ kind: 'unknown', unreadable: { media } });
    await expect(decodeImage(bytes, DEFAULT_LIMITS, false)).rejects.toMatchObject({
      code: 'MEDIA_UNSUPPORTED',
      message: expect.stringMatching(/which qalign does not read; .*\.$/) as string,
    });
    expect(sniff(bytes).unreadable).toMatchObject({
      name: expect.stringContaining(name) as string,
      advice: expect.stringContaining(advice) as string,
      media,
    });
  });

  it('of an unknown format has no name', () => {
    const noise = Uint8Array.from({ length: 600 }, (_, i) => (i * i * 37 + 129) % 256);
    for (const bytes of [noise, new Uint8Array(64), latin1('\0\0\x01\0\0\0'), latin1('\x01\x02\x03')])
      expect(sniff(bytes)).toEqual({ kind: 'unknown', format: 'unknown' });
  });

  it('does not match pictures and clips', () => {
    for (const start of [
      '\xff\xd8\xff\xe0',
      'II*\0\x08\0\0\0',
      'P5\n1 1\n255\n\0',
      'RIFF\0\0\0\0WEBPVP8 ',
      'FLV\x01\x05',
    ])
      expect(sniff(latin1(start))).not.toHaveProperty('unreadable');
  });
});
