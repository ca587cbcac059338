import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { decodeImage } from '../../../src/media/decode/decode.js';
import { DEFAULT_LIMITS } from '../../../src/media/limits.js';
import { libtiffYcbcrToRgb, pillowYcbcrToRgb } from '../../../src/media/decode/tiff/ycbcr.js';

interface Case {
  file: string;
  mode: string;
  size: [number, number];
  sha256: string;
  base64: string;
}

const path = new URL('../../fixtures/media/pillow-cases.json', import.meta.url);
const { cases } = JSON.parse(readFileSync(path, 'utf8')) as { cases: Case[] };

describe('decoded pixels equal Pillow', () => {
  it.each(cases.map((c) => [c.file, c.mode, c] as const))('%s (%s)', async (_file, _mode, c) => {
    const picture = await decodeImage(Buffer.from(c.base64, 'base64'), DEFAULT_LIMITS, false);
    expect([picture.width, picture.height]).toEqual(c.size);
    expect(createHash('sha256').update(picture.data).digest('hex')).toBe(c.sha256);
  });
});

describe('damaged TIFFs', () => {
  const tiff = () => sharp({ create: { width: 60, height: 50, channels: 3, background: '#789abc' } });

  it.each(['none', 'lzw', 'deflate', 'jpeg', 'packbits'] as const)(
    '%s: every cut ends in a typed error',
    async (compression) => {
      const whole = await tiff().tiff({ compression }).toBuffer();
      for (const part of [0.02, 0.2, 0.5, 0.9]) {
        await expect(
          decodeImage(whole.subarray(0, Math.ceil(whole.length * part)), DEFAULT_LIMITS, false),
        ).rejects.toMatchObject({ family: 'media' });
      }
    },
  );

  it('a compression that would decode to noise is refused by name', async () => {
    const whole = Buffer.from(await tiff().tiff({ compression: 'lzw' }).toBuffer());
    const at = whole.indexOf(Buffer.from([0x03, 0x01, 0x03, 0x00, 0x01, 0x00, 0x00, 0x00, 0x05, 0x00]));
    expect(at).toBeGreaterThan(0);
    whole.writeUInt16LE(50_000, at + 8);
    await expect(decodeImage(whole, DEFAULT_LIMITS, false)).rejects.toMatchObject({
      code: 'MEDIA_UNSUPPORTED',
      message: expect.stringContaining('50000') as string,
    });
  });
});

describe('YCbCr', () => {
  it.each([pillowYcbcrToRgb, libtiffYcbcrToRgb])('stays within one level of the definition', (convert) => {
    for (let y = 0; y < 256; y += 15) {
      for (let cb = 0; cb < 256; cb += 17) {
        for (let cr = 0; cr < 256; cr += 17) {
          const rgb = Uint8Array.of(y, cb, cr);
          convert(rgb);
          const exact = [
            y + 1.402 * (cr - 128),
            y - 0.344136 * (cb - 128) - 0.714136 * (cr - 128),
            y + 1.772 * (cb - 128),
          ];
          exact.forEach((value, i) =>
            expect(Math.abs((rgb[i] ?? 0) - Math.max(0, Math.min(255, value)))).toBeLessThanOrEqual(1.05),
          );
        }
      }
    }
  });
});
