import { Worker } from 'node:worker_threads';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { createDecodeBudget } from '../../../src/media/budget/decode-budget.js';
import { prepareImage } from '../../../src/media/image.js';
import { createPreparePool, type PreparePool } from '../../../src/media/prepare-pool.js';

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('createDecodeBudget', () => {
  it('grants free bytes, and wakes waiting callers in order', async () => {
    const budget = createDecodeBudget(10);
    const woken: string[] = [];
    const a = (): void => void woken.push('a');
    const b = (): void => void woken.push('b');
    expect([budget.take(8, a), budget.take(5, a), budget.take(1, b)]).toEqual([true, false, false]); // b came later
    budget.give(8);
    await turn();
    expect(woken).toEqual(['a']);
    expect([budget.take(5, a), budget.used]).toEqual([true, 5]);
    await turn();
    expect(woken).toEqual(['a', 'b']);
    expect([budget.take(1, b), budget.used]).toEqual([true, 6]);
  });

  it('wakes the next when the first stops waiting', async () => {
    const budget = createDecodeBudget(10);
    const a = (): void => undefined;
    let woken = 0;
    const b = (): void => void woken++;
    budget.take(9, a);
    expect([budget.take(9, a), budget.take(1, b)]).toEqual([false, false]);
    budget.leave(a);
    await turn();
    expect([woken, budget.take(1, b)]).toEqual([1, true]);
  });

  it('refuses to be empty', () => {
    expect(() => createDecodeBudget(0)).toThrow(/give more/);
  });
});

/** A thread whose pictures take some time, and as many bytes as their names state. */
const script = `const { parentPort } = require('node:worker_threads');
  parentPort.on('message', ({ input, granted }) => {
    const needs = Number(input);
    if (needs > granted) return parentPort.postMessage({ needs });
    setTimeout(() => parentPort.postMessage({ data: new Uint8Array(3) }), 20);
  });`;
const startThread = (): Worker => new Worker(script, { eval: true });

describe('a pool with little memory', () => {
  const ask = (pool: PreparePool, bytes: number, signal?: AbortSignal): Promise<unknown> =>
    pool.prepareImage(String(bytes), signal === undefined ? { size: 1 } : { size: 1, signal });

  it('decodes in parallel what fits, the rest later, and never exceeds its budget', async () => {
    const budget = createDecodeBudget(100);
    let most = 0;
    const take = (bytes: number, wake: () => void): boolean => {
      const taken = budget.take(bytes, wake);
      most = Math.max(most, budget.used);
      return taken;
    };
    const watched = { ...budget, take };
    await using pool = createPreparePool({ threads: 4, budget: watched, startThread });
    await Promise.all([90, 60, 40, 80, 5, 100].map((bytes) => ask(pool, bytes)));
    expect([most <= 100, most >= 100, budget.used]).toEqual([true, true, 0]);
  });

  it('shares it with other pools', async () => {
    const budget = createDecodeBudget(100);
    await using first = createPreparePool({ threads: 2, budget, startThread });
    await using second = createPreparePool({ threads: 2, budget, startThread });
    await Promise.all([90, 60, 40].flatMap((bytes) => [ask(first, bytes), ask(second, bytes)]));
    expect(budget.used).toBe(0);
  });

  it('refuses pictures over the whole budget on request, and otherwise decodes them alone', async () => {
    const refusing = createDecodeBudget(100, { refuses: true });
    await using strict = createPreparePool({ threads: 2, budget: refusing, startThread });
    await expect(ask(strict, 101)).rejects.toMatchObject({ code: 'MEDIA_TOO_LARGE' });
    await ask(strict, 100);
    await using lenient = createPreparePool({ threads: 2, budget: createDecodeBudget(100), startThread });
    await Promise.all([ask(lenient, 1000), ask(lenient, 30), ask(lenient, 2000)]);
  });

  it('drops waiting pictures that are aborted, and continues with later ones', async () => {
    const budget = createDecodeBudget(100);
    await using pool = createPreparePool({ threads: 2, budget, startThread });
    const gone = new AbortController();
    const running = ask(pool, 90);
    const waiting = ask(pool, 95, gone.signal);
    const after = ask(pool, 10);
    await new Promise((resolve) => setTimeout(resolve, 10));
    gone.abort(new Error('gone'));
    await expect(waiting).rejects.toThrow('gone');
    await Promise.all([running, after]);
    expect([budget.used, pool.load().running]).toEqual([0, 0]);
  });

  it('frees the bytes of a thread that died', async () => {
    const budget = createDecodeBudget(100);
    const mortal = (): Worker =>
      new Worker(`require('node:worker_threads').parentPort.on('message', () => process.exit(1))`, { eval: true });
    await using pool = createPreparePool({ threads: 1, budget, startThread: mortal });
    await expect(ask(pool, 50)).rejects.toMatchObject({ code: 'MEDIA_CORRUPT' });
    expect(budget.used).toBe(0);
  });
});

describe('the memory that a picture needs', () => {
  const side = 1000;
  const picture = sharp({ create: { width: side, height: side, channels: 3, background: '#a07040' } });
  const gif = (width: number, height: number): Uint8Array => {
    const bytes = Buffer.alloc(32);
    bytes.write('GIF89a', 0, 'latin1');
    [width, height].forEach((length, i) => bytes.writeUInt16LE(length, 6 + 2 * i));
    bytes[13] = 0x2c;
    [1, 1].forEach((length, i) => bytes.writeUInt16LE(length, 18 + 2 * i));
    return bytes;
  };
  const bmp = (width: number, height: number): Uint8Array => {
    const bytes = Buffer.alloc(54);
    bytes.write('BM', 0, 'latin1');
    [40, width, height].forEach((value, i) => bytes.writeUInt32LE(value, 14 + 4 * i));
    bytes.writeUInt16LE(24, 28);
    return bytes;
  };

  it.each<[string, () => Promise<Uint8Array>, number]>([
    ['a PNG', () => picture.clone().png().toBuffer(), 4],
    ['an interlaced PNG', () => picture.clone().png({ progressive: true }).toBuffer(), 7],
    [
      'a PNG of 16 bits, interlaced',
      () => picture.clone().toColourspace('rgb16').png({ progressive: true }).toBuffer(),
      10,
    ],
    ['a JPEG', () => picture.clone().jpeg().toBuffer(), 4],
    ['a progressive JPEG', () => picture.clone().jpeg({ progressive: true }).toBuffer(), 10],
    ['a CMYK JPEG', () => picture.clone().toColourspace('cmyk').jpeg().toBuffer(), 8],
    ['a WebP', () => picture.clone().webp().toBuffer(), 9],
    ['a TIFF', () => picture.clone().tiff().toBuffer(), 7],
    ['an AVIF', () => picture.clone().avif({ effort: 0 }).toBuffer(), 13],
    ['a GIF whose frame is one pixel', async () => gif(side, side), 4],
    ['a BMP', async () => bmp(side, side), 4],
    ['a PPM', async () => Buffer.from(`P6 ${side} ${side} 255\n`), 3],
  ])('is computed from its header, before decoding: %s', async (_what, make, pixelBytes) => {
    const bytes = await make();
    await expect(prepareImage(bytes, { size: 8, granted: bytes.length + 1 })).rejects.toMatchObject({
      code: 'MEDIA_TOO_LARGE',
      bytes: bytes.length + side * side * pixelBytes,
    });
  });

  it('includes the file, before it is read, and the rows of a tall picture', async () => {
    const path = new URL('../../fixtures/golden/pixels/inputs/jpg_420_17x9.jpg', import.meta.url).pathname;
    await expect(prepareImage(path, { size: 8, granted: 10 })).rejects.toMatchObject({ code: 'MEDIA_TOO_LARGE' });
    const tall = Buffer.concat([Buffer.from('P5 1 100000 255\n'), Buffer.alloc(100_000)]);
    await expect(prepareImage(tall, { size: 448, granted: 10_000_000 })).rejects.toMatchObject({
      bytes: tall.length + 100_000 * (3 + 3 * 448),
    });
  });
});
