import { describe, expect, it } from 'vitest';
import { distort } from '../../../src/media/distort/distort.js';
import { FAMILIES, strengthAt, STRENGTHS, type Family } from '../../../src/media/distort/families.js';
import { asPng } from '../../../src/media/distort/pixels.js';
import { padAndResize, type RawPicture } from '../../../src/media/resample/resample.js';
import { readPicture } from './read-picture.js';

const mse = (a: Uint8Array, b: Uint8Array): number =>
  a.reduce((sum, v, i) => sum + (v - (b[i] ?? 0)) ** 2, 0) / a.length;
const same = (a: RawPicture, b: RawPicture): boolean => Buffer.from(a.data).equals(Buffer.from(b.data));
const at = (picture: RawPicture, family: Family, place: number, seed = 5): Promise<RawPicture> =>
  distort(picture, family, strengthAt(family, place), seed);

/** The centre of a photograph. */
async function part(): Promise<RawPicture> {
  const { width, height, data } = await readPicture();
  const [w, h] = [240, 180];
  const [left, top] = [(width - w) >> 1, (height - h) >> 1];
  const rows = Array.from({ length: h }, (_, y) => {
    const from = 3 * ((top + y) * width + left);
    return data.subarray(from, from + 3 * w);
  });
  return { width: w, height: h, data: Uint8Array.from(Buffer.concat(rows)) };
}

/** A drawn picture with edges, gradients and detail. */
function drawn(width: number, height: number): RawPicture {
  const data = new Uint8Array(3 * width * height);
  for (let i = 0; i < data.length; i++) {
    const [x, y] = [Math.floor(i / 3) % width, Math.floor(i / 3 / width)];
    data[i] = 110 + 60 * Math.sin(x / 3 + (i % 3)) * Math.cos(y / 4) + (x > y ? 40 : -30);
  }
  return { width, height, data };
}

describe('distort', () => {
  it.each(FAMILIES)(
    '%s is repeatable, leaves its input, and differs more at higher strength',
    async (family) => {
      const picture = await part();
      const before = Uint8Array.from(picture.data);
      let last = 0;
      for (const place of [0.1, 0.4, 0.7, 1]) {
        const worse = await at(picture, family, place);
        expect(worse.data.length).toBe(worse.width * worse.height * 3);
        const scale = family === 'enlarge' ? strengthAt(family, place) : 1;
        expect([worse.width, worse.height]).toEqual([
          Math.round(picture.width * scale),
          Math.round(picture.height * scale),
        ]);
        expect(same(await at(picture, family, place), worse)).toBe(true);
        // an enlarged picture differs at its own pixels only
        const error = family === 'enlarge' ? worse.width : mse(picture.data, worse.data);
        expect(error).toBeGreaterThan(last);
        last = error;
      }
      expect(Buffer.from(picture.data).equals(Buffer.from(before))).toBe(true);
    },
    20_000,
  );

  it.each(FAMILIES)('%s accepts tiny, thin and flat pictures at every strength', async (family) => {
    const flat = { width: 12, height: 9, data: new Uint8Array(12 * 9 * 3).fill(255) };
    for (const picture of [drawn(64, 64), drawn(3, 200), drawn(1, 1), flat])
      for (const place of [0, 1]) {
        const worse = await at(picture, family, place);
        expect(worse.data.length).toBe(worse.width * worse.height * 3);
        expect(worse.width).toBeGreaterThanOrEqual(picture.width);
      }
  });

  it('draws noise, directions, kernels and patterns from the seed', async () => {
    const picture = await part();
    for (const family of [
      'noise',
      'motion_blur',
      'salt',
      'warp',
      'patches',
      'texture',
      'colour_cast',
      'mixture',
    ] as const)
      expect(same(await at(picture, family, 0.6, 1), await at(picture, family, 0.6, 2))).toBe(false);
  });

  it('adds noise of the requested standard deviation', async () => {
    const grey = { width: 100, height: 100, data: new Uint8Array(30_000).fill(128) };
    expect(Math.sqrt(mse(grey.data, (await distort(grey, 'noise', 10, 3)).data))).toBeCloseTo(10, 0);
  });

  it('enlarges large pictures to a bounded size without keeping more detail', async () => {
    const picture = { width: 5000, height: 4000, data: new Uint8Array(60_000_000) };
    const { width, height } = await distort(picture, 'enlarge', 4, 1);
    expect([width, height]).toEqual([5000, 4000]);
  }, 20_000);

  it('mixes only the families that it is given', async () => {
    const picture = await part();
    const mixed = await distort(picture, 'mixture', 0.5, 1, ['mixture', 'darken']);
    expect(same(mixed, await distort(picture, 'darken', strengthAt('darken', 0.5)))).toBe(true);
  });

  it('accepts strengths from the weakest to the strongest', () => {
    for (const family of FAMILIES) {
      expect(strengthAt(family, 0)).toBe(STRENGTHS[family].mild);
      expect(strengthAt(family, 1)).toBeCloseTo(STRENGTHS[family].worst, 9);
    }
  });

  it('shows most families also in the whole picture at 256 pixels', async () => {
    const picture = await part();
    const seen = padAndResize(picture, 256);
    for (const family of FAMILIES.filter((name) => name !== 'enlarge')) {
      const worse = await at(picture, family, 1);
      expect(mse(seen, padAndResize(worse, 256)), family).toBeGreaterThan(4);
    }
    expect((await asPng(picture)).length).toBeGreaterThan(0);
  }, 20_000);
});
