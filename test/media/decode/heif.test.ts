import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { decodeImage } from '../../../src/media/decode/decode.js';
import { findHeifPackage, withLoopFilters, type HeifPackage } from '../../../src/media/decode/heif-library.js';
import { sniff } from '../../../src/media/decode/magic.js';
import { DEFAULT_LIMITS } from '../../../src/media/limits.js';
import { kindOf } from '../../../src/media/media-kind.js';

interface Fixture {
  file: string;
  size: [number, number];
  /** A hash of the pixels from pillow-heif. */
  sha256: string;
  base64: string;
}

const path = new URL('../../fixtures/media/pillow-heif.json', import.meta.url);
const { files } = JSON.parse(readFileSync(path, 'utf8')) as { files: Fixture[] };
const bytesOf = (one: Fixture | undefined): Uint8Array => Buffer.from(one?.base64 ?? '', 'base64');

afterEach(() => {
  vi.resetModules();
});

describe('HEIC', () => {
  it.each(files.map((one) => [one.file, one] as const))(
    '%s equals pillow-heif, rotated once with and without auto-orient',
    async (_file, one) => {
      for (const orient of [false, true]) {
        const { width, height, data, decoder, warnings } = await decodeImage(bytesOf(one), DEFAULT_LIMITS, orient);
        expect([width, height]).toEqual(one.size);
        expect(createHash('sha256').update(data).digest('hex')).toBe(one.sha256);
        expect(decoder).toMatch(/^libheif-js 1\.\d+\.\d+$/);
        expect(warnings).toBeUndefined();
      }
    },
  );

  it('counts as a picture', async () => {
    const bytes = bytesOf(files[0]);
    expect(sniff(bytes)).toEqual({ kind: 'image', format: 'heif' });
    expect(await kindOf(bytes)).toBe('image');
  });

  it('over the pixel limit is refused before it is decoded', async () => {
    await expect(decodeImage(bytesOf(files[0]), { ...DEFAULT_LIMITS, maxPixels: 700 }, false)).rejects.toMatchObject({
      code: 'MEDIA_TOO_LARGE',
      message: expect.stringContaining('32 x 24') as string,
    });
  });

  it('cut off at any byte is damaged', async () => {
    const whole = bytesOf(files.find(({ file }) => file === 'grid_turned.heic'));
    for (let bytes = 12; bytes < whole.length; bytes += 13)
      await expect(decodeImage(whole.subarray(0, bytes), DEFAULT_LIMITS, false)).rejects.toMatchObject({
        code: 'MEDIA_CORRUPT',
      });
  });

  it('with changed bytes gives a picture or a typed error, and the next one is read', async () => {
    const whole = bytesOf(files.find(({ file }) => file === 'odd.heic'));
    for (let at = 0; at < whole.length; at += 3) {
      const broken = Uint8Array.from(whole);
      broken[at] = (broken[at] ?? 0) ^ 0xa5;
      const outcome = await decodeImage(broken, { ...DEFAULT_LIMITS, maxPixels: 1e6 }, false).then(
        ({ data, width, height }) => data.length === width * height * 3,
        (error: unknown) => (error as { family?: string }).family === 'media',
      );
      expect(outcome).toBe(true);
    }
    expect((await decodeImage(whole, DEFAULT_LIMITS, false)).width).toBe(33);
  });

  it('without the package names the command that installs it', async () => {
    vi.resetModules();
    const { decodeHeif } = await import('../../../src/media/decode/heif.js');
    const missing = (): never => {
      throw new Error("Cannot find module 'libheif-js'");
    };
    expect(() => decodeHeif(bytesOf(files[0]), { maxPixels: 1e6 }, missing)).toThrowError(/npm install libheif-js/);
    expect(decodeHeif(bytesOf(files[0]), { maxPixels: 1e6 }).width).toBe(32);
  });

  it('whose decoder aborts is damaged, and the decoder is loaded again', async () => {
    vi.resetModules();
    const { decodeHeif } = await import('../../../src/media/decode/heif.js');
    const aborting = (): HeifPackage => ({
      wasm: new Uint8Array(),
      create: () =>
        ({
          heif_context_alloc: () => {
            throw new Error('unreachable');
          },
        }) as never,
    });
    expect(() => decodeHeif(bytesOf(files[0]), { maxPixels: 1e6 }, aborting)).toThrowError(/decoder stopped/);
    expect(decodeHeif(bytesOf(files[0]), { maxPixels: 1e6 }).width).toBe(32);
  });

  it('of a version whose loop filters cannot be switched on has a warning', async () => {
    vi.resetModules();
    const { decodeHeif } = await import('../../../src/media/decode/heif.js');
    const other = (): HeifPackage => {
      const found = findHeifPackage();
      // a patched library, in which the constants are not found
      return { ...found, wasm: withLoopFilters(found.wasm).wasm };
    };
    const { warnings } = decodeHeif(bytesOf(files[0]), { maxPixels: 1e6 }, other);
    expect(warnings).toEqual([expect.stringMatching(/without loop filters/)]);
  });
});
