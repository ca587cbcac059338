import { readFileSync } from 'node:fs';
import { crc32 } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { resizePicture } from '../../../src/media/resample/resample.js';
import { planResize } from '../../../src/media/resample/resample-plan.js';
import { resamplePlain } from '../../../src/media/resample/resample-plain.js';
import { createWasmResample } from '../../../src/media/resample/resample-wasm.js';
import { roundHalfEven, smartSize, withinSide } from '../../../src/media/resample/smart-size.js';
import { noise } from './noise.js';

const fixture = <T>(name: string): T =>
  JSON.parse(readFileSync(new URL(`../../fixtures/resize/${name}`, import.meta.url), 'utf8')) as T;

type SmartRow = [number, number, number, number, number, [number, number] | null];
interface Rectangle {
  from: [number, number];
  to: [number, number];
  seed: number;
  crc32: number;
}

it.each([
  [1920, 1080, 448, 252],
  [1080, 1920, 252, 448],
  [3840, 2160, 448, 252],
  [640, 480, 448, 336],
  [448, 448, 448, 448],
  [449, 1, 448, 1],
  [1280, 719, 448, 251],
  [447, 300, 447, 300],
  [853, 480, 448, 252],
])('withinSide cuts %i x %i to %i x %i, as Python does with int(side * (448 / longest))', (width, height, w, h) => {
  expect(withinSide({ width, height }, 448)).toEqual({ width: w, height: h });
});

describe('smartSize', () => {
  it('equals the published rule in the arithmetic of Python, at 1010 sizes and bounds', () => {
    const rows = fixture<SmartRow[]>('smart.json');
    expect(rows).toHaveLength(1010);
    for (const [multiple, min_pixels, max_pixels, width, height, expected] of rows) {
      const size = (): [number, number] => {
        const found = smartSize({ width, height }, { multiple, min_pixels, max_pixels });
        return [found.width, found.height];
      };
      if (expected === null) expect(size, `${width}x${height}`).toThrow(/over 200 times the other/);
      else expect(size(), `${width}x${height} by ${multiple}`).toEqual(expected);
    }
  });

  it('gives sides that are multiples, and enlarges a picture below min_pixels', () => {
    const bounds = { multiple: 32, min_pixels: 65_536, max_pixels: 200_704 };
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 4000 }), fc.integer({ min: 1, max: 4000 }), (width, height) => {
        fc.pre(Math.max(width, height) / Math.min(width, height) <= 200);
        const size = smartSize({ width, height }, bounds);
        expect([size.width % 32, size.height % 32]).toEqual([0, 0]);
        expect(size.width * size.height).toBeGreaterThanOrEqual(65_536);
      }),
    );
    expect(smartSize({ width: 40, height: 40 }, bounds)).toEqual({ width: 256, height: 256 });
  });

  it('rounds a half to the even neighbour, as Python does', () => {
    expect([0.5, 1.5, 2.5, 2.4999, 2.5001, 7].map(roundHalfEven)).toEqual([0, 2, 2, 2, 3, 7]);
  });
});

describe('resizePicture', () => {
  it.each(fixture<Rectangle[]>('rectangles.json'))(
    'equals Pillow to the bit from $from to $to',
    ({ from: [width, height], to, seed, crc32: expected }) => {
      const picture = { width, height, data: noise(width, height, seed) };
      expect(crc32(resizePicture(picture, { width: to[0], height: to[1] }))).toBe(expected);
    },
  );

  it('gives the same bytes in WebAssembly as in plain TypeScript, for any shape', () => {
    const wasm = createWasmResample();
    const side = fc.integer({ min: 1, max: 80 });
    fc.assert(
      fc.property(side, side, side, side, fc.nat(), (width, height, outWidth, outHeight, seed) => {
        const data = noise(width, height, seed);
        const plan = planResize(width, height, outWidth, outHeight);
        expect(Buffer.from(wasm?.(data, plan) ?? []).equals(resamplePlain(data, plan))).toBe(true);
      }),
      { numRuns: 200 },
    );
  });

  it('returns a copy at the same size, and refuses data that does not fit', () => {
    const data = noise(6, 4, 1);
    const same = resizePicture({ width: 6, height: 4, data }, { width: 6, height: 4 });
    expect(same).toEqual(data);
    expect(same.buffer).not.toBe(data.buffer);
    expect(() => resizePicture({ width: 6, height: 5, data }, { width: 6, height: 4 })).toThrow(/needs 90 bytes/);
  });
});
