import { describe, expect, it } from 'vitest';
import { distort, DISTORTIONS, strengthAt, STRENGTHS } from '../../src/media/distort.js';
import { readPicture } from './distort-picture.js';

const mse = (a: Uint8Array, b: Uint8Array): number =>
  a.reduce((sum, v, i) => sum + (v - (b[i] ?? 0)) ** 2, 0) / a.length;

describe('distort', () => {
  it.each(DISTORTIONS)(
    '%s keeps the size, is repeatable, and differs more from the picture at higher strength',
    async (kind) => {
      const picture = await readPicture();
      let last = 0;
      for (const place of [0.1, 0.4, 0.7, 1]) {
        const strength = strengthAt(kind, place);
        const worse = await distort(picture, kind, strength, 5);
        expect([worse.width, worse.height, worse.data.length]).toEqual([
          picture.width,
          picture.height,
          picture.data.length,
        ]);
        expect(Buffer.from((await distort(picture, kind, strength, 5)).data).equals(Buffer.from(worse.data))).toBe(
          true,
        );
        const error = mse(picture.data, worse.data);
        expect(error).toBeGreaterThan(last);
        last = error;
      }
    },
  );

  it('draws noise and direction from the seed', async () => {
    const picture = await readPicture();
    for (const kind of ['noise', 'motion_blur'] as const) {
      const [one, two] = [await distort(picture, kind, 12, 1), await distort(picture, kind, 12, 2)];
      expect(Buffer.from(one.data).equals(Buffer.from(two.data))).toBe(false);
    }
  });

  it('adds noise of the requested standard deviation', async () => {
    const grey = { width: 100, height: 100, data: new Uint8Array(30_000).fill(128) };
    expect(Math.sqrt(mse(grey.data, (await distort(grey, 'noise', 10, 3)).data))).toBeCloseTo(10, 0);
  });

  it('accepts strengths from the weakest to the strongest', () => {
    for (const kind of DISTORTIONS) {
      expect(strengthAt(kind, 0)).toBe(STRENGTHS[kind].mild);
      expect(strengthAt(kind, 1)).toBeCloseTo(STRENGTHS[kind].worst, 9);
    }
  });
});
