import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { mulberry32 } from '../../../src/base/random.js';
import { framesOf, prepareCopies, type CopyPlan } from '../../../src/media/distort/copies.js';
import { asPng } from '../../../src/media/distort/pixels.js';
import { onScreen } from '../../../src/media/distort/screen.js';
import { drawRatedShape, drawSeriesShape } from '../../../src/media/distort/shape.js';
import { prepareImage } from '../../../src/media/image.js';
import { createPreparePool } from '../../../src/media/prepare-pool.js';
import { readPicture } from './read-picture.js';

const SIZE = 56;
const FRAME = SIZE * SIZE * 3;
let folder: string;
let file: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'qalign-copies-'));
  file = join(folder, 'p.png');
  await writeFile(file, await asPng(await readPicture()));
});
afterAll(() => rm(folder, { recursive: true }));

const blur = { family: 'blur', strength: 3, seed: 1, among: [] } as const;

describe('prepareCopies', () => {
  it('prepares the frames of all plans in order, and threads return the same', async () => {
    const plans: CopyPlan[] = [
      { own: true, distortions: [] },
      { own: true, screen: 4, distortions: [blur] },
      { shape: { draw: 'rated', seed: 2 }, own: true, distortions: [] },
      { shape: { draw: 'series', seed: 2 }, own: false, distortions: [blur, { ...blur, strength: 6 }] },
    ];
    const all = await prepareCopies(file, { size: SIZE, plans });
    expect(all.length).toBe(plans.reduce((sum, plan) => sum + framesOf(plan), 0) * FRAME);
    expect(all.subarray(0, FRAME)).toEqual((await prepareImage(file, { size: SIZE })).data);
    const frames = Array.from({ length: 6 }, (_, i) => all.subarray(i * FRAME, (i + 1) * FRAME));
    expect(new Set(frames.map((frame) => Buffer.from(frame).toString('base64'))).size).toBe(6);
    await using pool = createPreparePool({ threads: 1 });
    const made = await pool.prepareCopies(file, { size: SIZE, plans });
    expect(Buffer.from(made).equals(Buffer.from(all))).toBe(true);
  }, 30_000);
});

describe('drawn shapes', () => {
  const sides = [
    [512, 512],
    [4000, 1000],
    [300, 1200],
    [64, 64],
  ].map(([width, height]) => ({ width: width!, height: height! }));

  it('of rated copies keep 70 % of the area and stay between 2:3 and 3:2 where possible, or are reduced', () => {
    const random = mulberry32(1);
    for (const side of sides) {
      let cropped = 0;
      for (let k = 0; k < 300; k++) {
        const { left, top, width, height, scale } = drawRatedShape(side, random);
        const isCrop = width < 1 || height < 1;
        cropped += Number(isCrop);
        expect(Math.min(left, top, 1 - left - width + 1e-9, 1 - top - height + 1e-9)).toBeGreaterThanOrEqual(0);
        expect(width * height).toBeGreaterThanOrEqual(0.7 - 1e-9);
        expect(isCrop ? scale : 1).toBe(1);
        expect(scale * Math.min(side.width, side.height)).toBeGreaterThanOrEqual(Math.min(64, 0.45 * 300));
        const shape = (width * side.width) / (height * side.height);
        if (isCrop && side.width === side.height)
          expect(Math.abs(Math.log(shape))).toBeLessThanOrEqual(Math.log(1.5) + 1e-9);
      }
      expect(cropped).toBeGreaterThan(100);
    }
  });

  it('of series cover 1:2 to 2:1', () => {
    const random = mulberry32(1);
    const shapes = Array.from({ length: 500 }, () => drawSeriesShape(sides[0]!, random));
    const ratios = shapes.map(({ width, height }) => width / height);
    expect(Math.min(...ratios)).toBeLessThan(0.6);
    expect(Math.max(...ratios)).toBeGreaterThan(1.7);
    expect(Math.min(...ratios)).toBeGreaterThanOrEqual(0.5);
    expect(Math.min(...shapes.map(({ scale }) => scale))).toBeLessThan(0.5);
  });
});

describe('onScreen', () => {
  it('keeps the pixels of the picture inside a larger one, repeatably', async () => {
    const picture = await readPicture();
    for (let seed = 0; seed < 12; seed++) {
      const screen = onScreen(picture, seed);
      expect(screen.width * screen.height).toBeGreaterThan(picture.width * picture.height);
      expect(screen.data.length).toBe(3 * screen.width * screen.height);
      expect(
        Buffer.from(screen.data).indexOf(Buffer.from(picture.data.subarray(0, 3 * picture.width))),
      ).toBeGreaterThan(0);
      expect(Buffer.from(onScreen(picture, seed).data).equals(Buffer.from(screen.data))).toBe(true);
    }
  });
});
