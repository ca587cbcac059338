import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { NeedsMemory } from '../../../src/media/budget/needs-memory.js';
import { prepareFrame, prepareImage } from '../../../src/media/image.js';
import { createPreparePool } from '../../../src/media/prepare-pool.js';
import { drawOverlay } from '../../../src/media/windows/draw-overlay.js';
import { cut, prepareWindows } from '../../../src/media/windows/prepare-windows.js';

const SIZE = 28;
let folder: string;
let png: Uint8Array;
const raw = {
  width: 90,
  height: 70,
  data: Uint8Array.from({ length: 90 * 70 * 3 }, (_, i) => (i * 7 + (i >> 5)) % 256),
};
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'qalign-windows-'));
  png = await sharp(raw.data, { raw: { width: 90, height: 70, channels: 3 } })
    .png()
    .toBuffer();
});
afterAll(() => rm(folder, { recursive: true }));

const bytes = 3 * SIZE ** 2;
const block = ({ data }: { readonly data: Uint8Array }, at: number): Uint8Array =>
  data.slice(at * bytes, (at + 1) * bytes);

describe('prepareWindows', () => {
  it('prepares the picture as without a map, and each window as a picture of its size', async () => {
    const made = await prepareWindows(png, { size: SIZE, map: { window: 40 }, from: 0, count: 1000 });
    const { plan, original } = made;
    expect(original).toEqual({ width: 90, height: 70 });
    expect(block(made, 0)).toEqual((await prepareImage(png, { size: SIZE })).data);
    const corners = plan.ys.flatMap((y) => plan.xs.map((x) => [x, y] as const));
    expect(made.data.length).toBe(bytes * (1 + corners.length));
    for (const [i, [x, y]] of corners.entries())
      expect(block(made, 1 + i)).toEqual(prepareFrame(cut(raw, x, y, 40), { size: SIZE }).data);
  });

  it('prepares the same windows in ranges, on threads, also of a turned picture', async () => {
    await using pool = createPreparePool({ threads: 2 });
    const turned = await sharp(png).withMetadata({ orientation: 6 }).jpeg({ quality: 95 }).toBuffer();
    const map = { window: 40 };
    const options = { size: SIZE, autoOrient: true, map };
    const all = await prepareWindows(turned, { ...options, from: 0, count: 1000 });
    expect(all.original).toEqual({ width: 70, height: 90 });
    const parts = await Promise.all(
      [0, 4, 8].map((from) => pool.prepareWindows(turned, { ...options, from, count: 4 })),
    );
    expect(Buffer.concat(parts.map(({ data }) => data)).equals(Buffer.from(all.data))).toBe(true);
    expect(parts.map(({ plan }) => plan)).toEqual(Array(3).fill(all.plan));
  });

  it('counts the memory of a range, not of all windows', async () => {
    const options = { size: 448, map: { window: 8, stride: 1, max: 1024 }, from: 0 };
    await expect(prepareWindows(png, { ...options, count: 1024, granted: 30e6 })).rejects.toBeInstanceOf(NeedsMemory);
    const { data, plan } = await prepareWindows(png, { ...options, count: 32, granted: 30e6 });
    expect(plan.xs.length * plan.ys.length).toBeGreaterThan(600);
    expect(data.length).toBe(33 * 3 * 448 ** 2);
  });
});

it('draws over a picture, and leaves no part of a file after an error', async () => {
  const overlay = {
    svg: ({ width, height }: { width: number; height: number }) =>
      `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height + 9}"><rect width="9" height="9" fill="#f00"/></svg>`,
    below: () => 9,
  };
  const path = join(folder, 'new', 'map.png');
  await drawOverlay(path, png, overlay);
  const { data, info } = await sharp(path).removeAlpha().raw().toBuffer({ resolveWithObject: true });
  expect([info.width, info.height, ...data.subarray(0, 3)]).toEqual([90, 79, 255, 0, 0]);
  await expect(drawOverlay(join(folder, 'broken.png'), new Uint8Array([1, 2]), overlay)).rejects.toMatchObject({
    code: expect.stringMatching(/^MEDIA_/) as string,
  });
  await expect(drawOverlay(join(path, 'below-a-file.png'), png, overlay)).rejects.toMatchObject({
    code: 'OUTPUT_UNWRITABLE',
  });
  expect(await readdir(folder, { recursive: true })).toEqual(['new', 'new/map.png']);
});
