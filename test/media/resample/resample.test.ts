import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { padAndResize } from '../../../src/media/resample/resample.js';
import { PAD_COLOUR } from '../../../src/media/preprocessing.js';
import { planResample } from '../../../src/media/resample/resample-plan.js';
import { resamplePlain } from '../../../src/media/resample/resample-plain.js';
import { makeTable } from '../../../src/media/resample/resample-table.js';
import { createWasmResample } from '../../../src/media/resample/resample-wasm.js';
import { noise } from './noise.js';
import { buildResampleModule, RESAMPLE_MODULE_PATH } from '../../../bridge/build-resample.js';

/** The definition: pad the picture, then resize the square, without fused padding. */
function literal(data: Uint8Array, width: number, height: number, size: number): Uint8Array {
  const side = Math.max(width, height);
  const square = new Uint8Array(side * side * 3).map((_, i) => PAD_COLOUR[i % 3] ?? 0);
  const left = Math.floor((side - width) / 2);
  const top = Math.floor((side - height) / 2);
  for (let y = 0; y < height; y++)
    square.set(data.subarray(y * width * 3, (y + 1) * width * 3), ((top + y) * side + left) * 3);
  return side === size ? square : resamplePlain(square, planResample(side, side, size));
}

describe('padAndResize', () => {
  const shapes = {
    width: fc.integer({ min: 1, max: 90 }),
    height: fc.integer({ min: 1, max: 90 }),
    size: fc.integer({ min: 1, max: 70 }),
    seed: fc.nat(),
  };

  it('equals padding first and resizing then, for any shape', () => {
    fc.assert(
      fc.property(fc.record(shapes), ({ width, height, size, seed }) => {
        const data = noise(width, height, seed);
        expect(
          Buffer.from(padAndResize({ width, height, data }, size)).equals(literal(data, width, height, size)),
        ).toBe(true);
      }),
      { numRuns: 300 },
    );
  });

  it('gives the same bytes in WebAssembly as in plain TypeScript', () => {
    const wasm = createWasmResample();
    expect(wasm).toBeDefined();
    fc.assert(
      fc.property(fc.record(shapes), ({ width, height, size, seed }) => {
        const data = noise(width, height, seed);
        const plan = planResample(width, height, size);
        expect(Buffer.from(wasm?.(data, plan) ?? []).equals(resamplePlain(data, plan))).toBe(true);
      }),
      { numRuns: 300 },
    );
  });

  it.each([
    [1, 3000],
    [3000, 1],
    [2, 5000],
    [1999, 7],
    [900, 700],
  ])('does so for %i x %i, which goes through in strips', (width, height) => {
    const data = noise(width, height, 7);
    const plan = planResample(width, height, 56);
    expect(Buffer.from(createWasmResample()?.(data, plan) ?? []).equals(resamplePlain(data, plan))).toBe(true);
  });

  it('does not change its input and never returns the same memory twice', () => {
    const data = noise(20, 20, 3);
    const before = Uint8Array.from(data);
    const copy = padAndResize({ width: 20, height: 20, data }, 20);
    copy.fill(0);
    const first = padAndResize({ width: 20, height: 20, data }, 10);
    const kept = Uint8Array.from(first);
    padAndResize({ width: 20, height: 20, data: noise(20, 20, 4) }, 10);
    expect(data).toEqual(before);
    expect(first).toEqual(kept);
  });

  it('refuses data that does not fit its size, and sides beyond the limit', () => {
    expect(() => padAndResize({ width: 4, height: 4, data: new Uint8Array(47) }, 8)).toThrow(/needs 48 bytes/);
    expect(() => padAndResize({ width: 300_000, height: 1, data: new Uint8Array(900_000) }, 8)).toThrow(
      /over the limit/,
    );
  });
});

describe('makeTable', () => {
  it('sums to one within the rounding of its weights', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 3000 }), fc.integer({ min: 1, max: 500 }), (from, to) => {
        const table = makeTable(from, to);
        for (let i = 0; i < to; i++) {
          const start = table.start[i] ?? 0;
          const count = table.count[i] ?? 0;
          const sum = table.weights.subarray(start, start + count).reduce((a, b) => a + b, 0);
          expect(Math.abs(sum - 2 ** 22)).toBeLessThanOrEqual(count / 2 + 1);
          expect((table.first[i] ?? 0) + count).toBeLessThanOrEqual(from);
        }
      }),
      { numRuns: 50 },
    );
  });
});

it('the committed WebAssembly equals its compiled source', async () => {
  const committed = readFileSync(new URL(`../../../${RESAMPLE_MODULE_PATH}`, import.meta.url), 'utf8');
  expect(committed).toBe(await buildResampleModule());
});
