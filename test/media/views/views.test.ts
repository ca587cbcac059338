import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Preparation } from '../../../bridge/protocol/chat.js';
import type { View } from '../../../bridge/protocol/views.js';
import { NeedsMemory } from '../../../src/media/budget/needs-memory.js';
import { prepareFrame, prepareImage } from '../../../src/media/image.js';
import { createPreparePool } from '../../../src/media/prepare-pool.js';
import { createPreparer } from '../../../src/media/preparer.js';
import { PAD_COLOUR } from '../../../src/media/preprocessing.js';
import { padAndResize, resizePicture, type RawPicture } from '../../../src/media/resample/resample.js';
import { costOf } from '../../../src/media/resample/smart-size.js';
import { nativeView } from '../../../src/media/views/native.js';
import {
  drawForm,
  drawFrame,
  drawingBytes,
  frameBytes,
  frameSize,
  preparationOfClip,
} from '../../../src/media/views/views.js';
import { prepareWindows } from '../../../src/media/windows/prepare-windows.js';

const BOTH: readonly View[] = ['whole', 'native'];

/** Every pixel holds its own column, row and 200. */
const places = (width: number, height: number): RawPicture => ({
  width,
  height,
  data: Uint8Array.from({ length: width * height * 3 }, (_, i) => {
    const pixel = Math.floor(i / 3);
    return [pixel % width, Math.floor(pixel / width), 200][i % 3]!;
  }),
});

/** The columns, or rows, of the picture that a view shows; undefined for padding. */
function shown({ width, height }: { width: number; height: number }, size: number): (number | undefined)[][] {
  const view = nativeView(places(width, height), size);
  const at = (x: number, y: number): number[] => [...view.subarray((y * size + x) * 3, (y * size + x) * 3 + 3)];
  const isPadding = (pixel: number[]): boolean => pixel.every((value, c) => value === PAD_COLOUR[c]);
  const middle = Math.floor(size / 2);
  const line = (channel: 0 | 1): (number | undefined)[] =>
    Array.from({ length: size }, (_, i) => (channel === 0 ? at(i, middle) : at(middle, i))).map((pixel) =>
      isPadding(pixel) ? undefined : pixel[channel],
    );
  return [line(0), line(1)];
}

it('reduces a frame of a clip to its longest side before the size of the model, as two resizings', () => {
  const bounds = { kind: 'smart', multiple: 8, min_pixels: 64, max_pixels: 4096 } as const;
  const preparation = preparationOfClip(bounds, 50)!;
  const frame = places(120, 90);
  const reduced = { width: 50, height: 37, data: resizePicture(frame, { width: 50, height: 37 }) };
  const form = { size: 0, preparation };
  expect(frameSize(frame, form)).toEqual({ width: 48, height: 40 });
  expect(drawForm(frame, form)).toEqual(resizePicture(reduced, { width: 48, height: 40 }));
  expect(drawForm(frame, form)).not.toEqual(resizePicture(frame, { width: 48, height: 40 }));
  expect(drawingBytes(frame, form)).toBe(3 * 48 * (40 + 90) + 3 * 50 * (37 + 90));
  const native = { size: 0, preparation: preparationOfClip({ kind: 'native' }, 50)! };
  expect(drawForm(frame, native)).toEqual(reduced.data);
  expect(drawForm(places(50, 20), native)).toEqual(places(50, 20).data);
  expect(preparationOfClip(bounds, undefined)).toBe(bounds);
});

const range = (from: number, count: number): number[] => Array.from({ length: count }, (_, i) => from + i);

describe('the native view', () => {
  it.each([1, 2, 5, 7, 8, 64])('shows a picture of its own size as it is (%i px)', (size) => {
    const picture = places(size, size);
    expect(nativeView(picture, size)).toEqual(picture.data);
  });

  it('shows the centre without resizing', () => {
    const [columns, rows] = shown({ width: 40, height: 101 }, 8);
    expect(columns).toEqual(range(16, 8));
    expect(rows).toEqual(range(46, 8));
  });

  it('pads a smaller picture to its own size, centred', () => {
    const [columns, rows] = shown({ width: 5, height: 40 }, 8);
    expect(columns).toEqual([undefined, undefined, ...range(0, 5), undefined]);
    expect(rows).toEqual(range(16, 8));
    expect(nativeView(places(1, 1), 8).filter((value) => value === 200)).toHaveLength(1);
  });

  it('has adjacent pixels inside of the picture, for all sizes', () => {
    for (const size of [4, 5, 8]) {
      for (let side = 1; side < 60; side++) {
        const [columns] = shown({ width: side, height: 200 }, size);
        const seen = columns!.filter((value) => value !== undefined);
        expect(seen).toEqual(range(side <= size ? 0 : Math.floor((side - size) / 2), Math.min(side, size)));
      }
    }
  });
});

describe('a frame', () => {
  const picture = places(90, 70);

  it('has its views from top to bottom', () => {
    const frame = drawFrame(picture, 28, BOTH);
    expect(frame).toHaveLength(frameBytes(28, BOTH));
    expect(frameBytes(28, BOTH)).toBe(2 * frameBytes(28));
    expect(frame.subarray(0, frameBytes(28))).toEqual(padAndResize(picture, 28));
    expect(frame.subarray(frameBytes(28))).toEqual(nativeView(picture, 28));
    expect(drawFrame(picture, 28)).toEqual(padAndResize(picture, 28));
  });

  it('keeps the pixels that are mirrored with the picture', () => {
    const even = places(96, 64);
    const mirror = ({ width, height, data }: RawPicture): RawPicture => {
      const pixels = Array.from({ length: width * height }, (_, i) => {
        const from = Math.floor(i / width) * width + width - 1 - (i % width);
        return [...data.subarray(from * 3, from * 3 + 3)];
      });
      return { width, height, data: Uint8Array.from(pixels.flat()) };
    };
    const frame = { width: 16, height: 32, data: drawFrame(even, 16, BOTH) };
    expect(drawFrame(mirror(even), 16, BOTH)).toEqual(mirror(frame).data);
  });

  it('is prepared with its views', () => {
    const prepared = prepareFrame(picture, { size: 28, views: BOTH });
    expect([prepared.width, prepared.height]).toEqual([28, 56]);
    expect(prepared.data).toEqual(drawFrame(picture, 28, BOTH));
    expect(() => prepareFrame(picture, { size: 0, views: BOTH })).toThrow(/from 1 to 4096/);
  });
});

describe('all ways to the pixels draw the same views', () => {
  const picture = places(90, 70);
  const [size, bytes] = [28, frameBytes(28, BOTH)];
  let folder: string;
  let png: Uint8Array;
  const frame = drawFrame(picture, size, BOTH);
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'qalign-views-'));
    png = await sharp(picture.data, { raw: { width: 90, height: 70, channels: 3 } })
      .png()
      .toBuffer();
    await mkdir(join(folder, 'frames'));
    for (const name of ['0000.png', '0001.png', '0002.png']) await writeFile(join(folder, 'frames', name), png);
  });
  afterAll(() => rm(folder, { recursive: true }));

  it('a picture, here and on a thread', async () => {
    await using pool = createPreparePool({ threads: 1 });
    const here = await prepareImage(png, { size, views: BOTH });
    expect(here.data).toEqual(frame);
    expect(await pool.prepareImage(png, { size, views: BOTH })).toEqual(here);
    expect((await pool.prepareImage(png, { size })).data).toEqual(padAndResize(picture, size));
  });

  it('frames on a thread, and a folder of frames in chunks', async () => {
    const pool = createPreparePool({ threads: 1 });
    const preparer = createPreparer(pool);
    try {
      expect(await pool.prepareFrames([picture, picture], { size, views: BOTH })).toEqual(
        Uint8Array.from([...frame, ...frame]),
      );
      const source = { media: join(folder, 'frames'), kind: 'folder' } as const;
      const { frames, data } = await preparer.prepare(source, { size, views: BOTH });
      expect([frames, data.length]).toEqual([3, 3 * bytes]);
      const chunks = [];
      for await (const chunk of (await preparer.open(source, { size, views: BOTH })).chunks(2)) chunks.push(chunk);
      expect(chunks.map((chunk) => [chunk.frames, chunk.data.length])).toEqual([
        [2, 2 * bytes],
        [1, bytes],
      ]);
      expect(chunks[1]!.data).toEqual(frame);
    } finally {
      await preparer.close();
    }
  });

  it('windows, with their memory', async () => {
    const options = { size, views: BOTH, map: { window: 40 }, from: 0, count: 1000 };
    const { data, plan } = await prepareWindows(png, options);
    const count = 1 + plan.xs.length * plan.ys.length;
    expect(data).toHaveLength(count * bytes);
    expect(data.subarray(0, bytes)).toEqual(frame);
    const decoded = png.length + 3 * (90 * 70 + 70 * size);
    const needed = count * bytes + 3 * (40 ** 2 + 40 * size);
    await expect(prepareWindows(png, { ...options, granted: decoded + needed - 1 })).rejects.toBeInstanceOf(
      NeedsMemory,
    );
    expect((await prepareWindows(png, { ...options, granted: decoded + needed + 1000 })).data).toEqual(data);
  });
});

describe('frames of models that take pictures that are not square', () => {
  const smart: Preparation = { kind: 'smart', multiple: 32, min_pixels: 4096, max_pixels: 16_384 };
  const picture = places(90, 40);

  it('resizes to multiples for `smart`, and keeps the pixels for `native`', () => {
    const { width, height, data, original, warnings } = prepareFrame(picture, { size: 128, preparation: smart });
    expect([width, height, data.length, original, warnings]).toEqual([
      96,
      64,
      3 * 96 * 64,
      { width: 90, height: 40 },
      [],
    ]);
    const native = prepareFrame(picture, { size: 0, preparation: { kind: 'native' } });
    expect([native.width, native.height]).toEqual([90, 40]);
    expect(native.data).toEqual(picture.data);
    expect(native.data.buffer).not.toBe(picture.data.buffer);
  });

  it('costs a frame by its pixels', () => {
    expect([costOf({ width: 32, height: 32 }), costOf({ width: 448, height: 448 })]).toEqual([1, 1]);
    expect(costOf({ width: 1024, height: 1024 })).toBe(5);
    const form = { size: 128, preparation: smart };
    expect(drawingBytes(picture, form)).toBe(3 * 96 * (64 + 40));
    expect(drawingBytes(picture, { size: 28 })).toBe(3 * 40 * 28);
  });

  it('prepares a folder of frames, a picture and frames on the threads, with their size', async () => {
    const png = (width: number, height: number): Promise<Buffer> =>
      sharp(Buffer.from(places(width, height).data), { raw: { width, height, channels: 3 } })
        .png()
        .toBuffer();
    const folder = await mkdtemp(join(tmpdir(), 'qalign-forms-'));
    await using pool = createPreparePool({ threads: 1 });
    const preparer = createPreparer(pool);
    try {
      for (const at of [0, 1, 2]) await writeFile(join(folder, `${at}.png`), await png(90, 40));
      const options = { size: 128, preparation: smart };
      const one = await preparer.prepare({ media: join(folder, '0.png'), kind: 'image' }, options);
      expect([one.shape, one.width, one.height]).toEqual([{ width: 96, height: 64 }, 90, 40]);
      const clip = { media: folder, kind: 'folder' as const };
      const whole = await preparer.prepare(clip, { ...options, frameRule: 'eight', maxFrames: 4 });
      expect([whole.frames, whole.shape, whole.frameRule]).toEqual([4, { width: 96, height: 64 }, 'eight']);
      expect(whole.data.subarray(3 * one.data.length)).toEqual(one.data);
      const frames = await pool.prepareFrames([picture, picture], options);
      expect(frames.subarray(one.data.length)).toEqual(one.data);
      await writeFile(join(folder, '1.png'), await png(40, 90));
      await expect(preparer.prepare(clip, options)).rejects.toThrow(/different sizes \(96x64 and 64x96/);
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});
