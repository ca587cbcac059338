import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { inflateSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { decodeImage } from '../../../src/media/decode/decode.js';
import { DEFAULT_LIMITS } from '../../../src/media/limits.js';

interface Read {
  file: string;
  mode: string;
  size: [number, number];
  orient?: true;
  sha256: string;
  deflated: string;
}
interface Refused {
  file: string;
  /** A part of the message. */
  says: string;
  pillow: 'reads' | 'refuses';
  deflated: string;
}

const path = new URL('../../fixtures/media/pillow-kinds.json', import.meta.url);
const { cases, refused } = JSON.parse(readFileSync(path, 'utf8')) as { cases: Read[]; refused: Refused[] };
const bytesOf = ({ deflated }: { deflated: string }): Uint8Array => inflateSync(Buffer.from(deflated, 'base64'));

describe('kinds compared with Pillow', () => {
  it.each(cases.map((c) => [c.file, c.mode, c] as const))('%s (%s) is equal', async (_file, _mode, c) => {
    const picture = await decodeImage(bytesOf(c), DEFAULT_LIMITS, c.orient ?? false);
    expect([picture.width, picture.height]).toEqual(c.size);
    expect(createHash('sha256').update(picture.data).digest('hex')).toBe(c.sha256);
  });

  it.each(refused.map((c) => [c.file, c.pillow, c] as const))(
    '%s, which Pillow %s, is refused by name',
    async (_file, _pillow, c) => {
      await expect(decodeImage(bytesOf(c), DEFAULT_LIMITS, false)).rejects.toMatchObject({
        code: 'MEDIA_UNSUPPORTED',
        message: expect.stringContaining(c.says) as string,
      });
    },
  );

  it('warns that a picture without a palette is black', async () => {
    const one = cases.find(({ file }) => file === 'p_noplte8.png');
    const { warnings } = await decodeImage(bytesOf(one as Read), DEFAULT_LIMITS, false);
    expect(warnings).toEqual([expect.stringContaining('no palette')]);
  });

  it('every coding process of JPEG that Pillow does not read is refused', async () => {
    const file = cases.find((c) => c.file.startsWith('jtr_')) as Read;
    const jpeg = Buffer.from(bytesOf(file));
    const frame = jpeg.indexOf(Buffer.from([0xff, 0xc0]));
    for (const process of [5, 6, 7, 11, 13, 14, 15]) {
      jpeg[frame + 1] = 0xc0 + process;
      await expect(decodeImage(jpeg, DEFAULT_LIMITS, false)).rejects.toMatchObject({
        code: 'MEDIA_UNSUPPORTED',
        message: expect.stringContaining(`process ${process}`) as string,
      });
    }
  });
});
