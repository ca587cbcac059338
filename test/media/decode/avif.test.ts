import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { readAvifTurn } from '../../../src/media/decode/avif-properties.js';
import { decodeImage } from '../../../src/media/decode/decode.js';
import { DEFAULT_LIMITS } from '../../../src/media/limits.js';

interface Fixture {
  width: number;
  height: number;
  files: { file: string; base64: string; rgb: string }[];
}

const fixture = JSON.parse(
  readFileSync(new URL('../../fixtures/media/pillow-avif.json', import.meta.url), 'utf8'),
) as Fixture;

describe('AVIF', () => {
  it.each(fixture.files.map((one) => [one.file, one] as const))(
    '%s: neither rotated nor mirrored, within one level of Pillow',
    async (_name, one) => {
      const picture = await decodeImage(Buffer.from(one.base64, 'base64'), DEFAULT_LIMITS, false);
      const expected = Buffer.from(one.rgb, 'base64');
      expect([picture.width, picture.height]).toEqual([fixture.width, fixture.height]);
      expect(Math.max(...picture.data.map((value, i) => Math.abs(value - (expected[i] ?? 0))))).toBeLessThanOrEqual(1);
    },
  );

  it('rotates it on request', async () => {
    const six = fixture.files.find((one) => one.file.startsWith('o6'));
    const bytes = Buffer.from(six?.base64 ?? '', 'base64');
    const picture = await decodeImage(bytes, DEFAULT_LIMITS, true);
    expect([picture.width, picture.height]).toEqual([fixture.height, fixture.width]);
    expect(readAvifTurn(bytes)).toEqual({ quarters: 3, mirror: undefined });
  });

  it('handles invalid boxes', async () => {
    const whole = Buffer.from(fixture.files[5]?.base64 ?? '', 'base64');
    for (let at = 12; at < 300; at += 7) {
      const broken = Buffer.from(whole);
      broken[at] = 0xff;
      const outcome = await decodeImage(broken, DEFAULT_LIMITS, false).then(
        (picture) => picture.data.length > 0,
        (error: unknown) => (error as { family?: string }).family === 'media',
      );
      expect(outcome).toBe(true);
    }
  });
});
