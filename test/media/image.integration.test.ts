import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp, { type Sharp } from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ErrorCode } from '../../src/base/errors.js';
import { prepareFrame, prepareImage } from '../../src/media/image.js';
import { readFileLimited } from '../../src/media/image-file.js';
import { createPreparePool } from '../../src/media/prepare-pool.js';

let folder: string;
let png: Buffer;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'qalign-image-'));
  png = await sharp({ create: { width: 40, height: 20, channels: 3, background: { r: 9, g: 200, b: 77 } } })
    .png()
    .toBuffer();
  writeFileSync(join(folder, 'good.png'), png);
  symlinkSync('loop.png', join(folder, 'loop.png'));
  symlinkSync('good.png', join(folder, 'link.png'));
  mkdirSync(join(folder, 'directory.png'));
  execFileSync('mkfifo', [join(folder, 'fifo.png')]);
});
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

describe('where a picture comes from', () => {
  it('reads a path, a link and bytes alike', async () => {
    const [path, link, bytes] = await Promise.all(
      [join(folder, 'good.png'), join(folder, 'link.png'), new Uint8Array(png)].map((input) =>
        prepareImage(input, { size: 56 }),
      ),
    );
    expect(path).toEqual(link);
    expect(path).toEqual(bytes);
  });

  it.each<[string, ErrorCode]>([
    ['missing.png', 'MEDIA_NOT_FOUND'],
    ['good.png/inside.png', 'MEDIA_NOT_FOUND'],
    [`${'x'.repeat(300)}.png`, 'MEDIA_NOT_FOUND'],
    ['zero\0byte.png', 'MEDIA_NOT_FOUND'],
    ['loop.png', 'MEDIA_UNREADABLE'],
    ['directory.png', 'MEDIA_UNREADABLE'],
    ['fifo.png', 'MEDIA_UNREADABLE'],
  ])('%s is %s, at once', async (name, code) => {
    await expect(prepareImage(join(folder, name), { size: 56 })).rejects.toMatchObject({ code });
  });

  it('refuses device files', async () => {
    await expect(prepareImage('/dev/zero', { size: 56 })).rejects.toMatchObject({ code: 'MEDIA_UNREADABLE' });
    await expect(prepareImage('/dev/tty', { size: 56 })).rejects.toMatchObject({ code: 'MEDIA_UNREADABLE' });
  });

  it('refuses a file that may not be read (root reads everything: then it is read)', async () => {
    const path = join(folder, 'secret.png');
    writeFileSync(path, png);
    chmodSync(path, 0);
    const result = prepareImage(path, { size: 56 });
    if (process.getuid?.() === 0) expect((await result).width).toBe(56);
    else await expect(result).rejects.toMatchObject({ code: 'MEDIA_UNREADABLE' });
  });

  it('stops at the byte limit, also in a file that grows while it is read', async () => {
    await expect(prepareImage(join(folder, 'good.png'), { size: 56, limits: { maxBytes: 10 } })).rejects.toMatchObject({
      code: 'MEDIA_TOO_LARGE',
    });
    await expect(prepareImage(png, { size: 56, limits: { maxBytes: 10 } })).rejects.toMatchObject({
      code: 'MEDIA_TOO_LARGE',
    });
    const growing = join(folder, 'growing');
    writeFileSync(growing, Buffer.alloc(100_000));
    const reading = readFileLimited(growing, { maxBytes: 1 << 22 });
    appendFileSync(growing, Buffer.alloc(50_000));
    expect([100_000, 150_000]).toContain((await reading).length);
  });
});

describe('limits and options', () => {
  it('stops at the pixel limit for every format', async () => {
    const make = (): Sharp => sharp({ create: { width: 40, height: 20, channels: 3, background: 'red' } });
    const files = await Promise.all(
      [make().png(), make().jpeg(), make().webp(), make().gif(), make().tiff(), make().avif()].map((s) => s.toBuffer()),
    );
    for (const file of files) {
      await expect(prepareImage(file, { size: 56, limits: { maxPixels: 799 } })).rejects.toMatchObject({
        code: 'MEDIA_TOO_LARGE',
      });
      expect((await prepareImage(file, { size: 56, limits: { maxPixels: 800 } })).width).toBe(56);
    }
  });

  it('gives up when the time is up', async () => {
    const large = await sharp({ create: { width: 6000, height: 6000, channels: 3, background: 'red' } })
      .png()
      .toBuffer();
    await expect(prepareImage(large, { size: 448, limits: { timeoutMs: 1 } })).rejects.toMatchObject({
      code: 'MEDIA_TIMEOUT',
    });
  });

  it('ends with the reason of its signal', async () => {
    const controller = new AbortController();
    const running = prepareImage(join(folder, 'good.png'), { size: 448, signal: controller.signal });
    controller.abort(new Error('enough'));
    await expect(running).rejects.toThrow('enough');
    await expect(prepareImage(png, { size: 448, signal: controller.signal })).rejects.toThrow('enough');
  });

  it('turns a picture by its EXIF orientation only when asked to', async () => {
    const raw = Uint8Array.from({ length: 20 * 10 * 3 }, (_, i) => (i * 5) % 256);
    const plain = await sharp(raw, { raw: { width: 20, height: 10, channels: 3 } })
      .png()
      .toBuffer();
    const turned = await sharp(plain).withMetadata({ orientation: 6 }).png().toBuffer();
    const byHand = await sharp(plain).rotate(90).png().toBuffer();
    const [a, b, c, d] = await Promise.all([
      prepareImage(plain, { size: 30 }),
      prepareImage(turned, { size: 30 }),
      prepareImage(turned, { size: 30, autoOrient: true }),
      prepareImage(byHand, { size: 30 }),
    ]);
    expect(b).toEqual(a);
    expect(c).toEqual(d);
    expect(c).not.toEqual(a);
  });

  it.each([0, -1, 1.5, NaN, 5000])('refuses a size of %d', async (size) => {
    await expect(prepareImage(png, { size })).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
  });

  it('prepares raw frames as it prepares pictures', async () => {
    const data = new Uint8Array(await sharp(png).removeAlpha().raw().toBuffer());
    expect(prepareFrame({ width: 40, height: 20, data }, { size: 56 })).toEqual(await prepareImage(png, { size: 56 }));
  });
});

describe('a picture of which little is left at the size of the model', () => {
  const warningsOf = async (width: number, height: number, size: number): Promise<readonly string[]> => {
    const data = new Uint8Array(width * height * 3);
    return prepareFrame({ width, height, data }, { size }).warnings;
  };

  it('has a warning with the numbers', async () => {
    expect(await warningsOf(60_000, 1, 448)).toEqual([expect.stringContaining('60000x1')]);
    expect(await warningsOf(60_000, 1, 448)).toEqual([expect.stringContaining('0.01 of 448 rows')]);
    expect(await warningsOf(3, 900, 448)).toEqual([expect.stringContaining('1.5 of 448 columns')]);
  });

  it('is not one that is merely wide, nor one that is small of itself', async () => {
    for (const [width, height] of [
      [4000, 40],
      [448, 3],
      [1, 1],
      [300, 1],
      [1920, 1080],
    ] as const)
      expect(await warningsOf(width, height, 448)).toEqual([]);
  });
});

it('reads HEIC on a thread of the pool, and goes on after a damaged one', async () => {
  const fixture = new URL('../fixtures/media/pillow-heif.json', import.meta.url);
  const { files } = JSON.parse(readFileSync(fixture, 'utf8')) as { files: { file: string; base64: string }[] };
  const whole = Buffer.from(files.find(({ file }) => file === 'odd.heic')?.base64 ?? '', 'base64');
  const pool = createPreparePool({ threads: 1 });
  try {
    await expect(pool.prepareImage(whole.subarray(0, whole.length - 40), { size: 56 })).rejects.toMatchObject({
      code: 'MEDIA_CORRUPT',
    });
    const picture = await pool.prepareImage(whole, { size: 56 });
    expect(picture).toMatchObject({ original: { width: 33, height: 25 }, warnings: [] });
    expect(picture.decoder).toMatch(/^libheif-js 1/);
  } finally {
    await pool.close();
  }
});
