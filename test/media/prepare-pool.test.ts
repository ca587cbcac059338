import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { describe, expect, it } from 'vitest';
import type { Lane } from '../../src/base/lane.js';
import { prepareFrame, prepareImage } from '../../src/media/image.js';
import { createPreparePool, startPrepareThread } from '../../src/media/prepare-pool.js';

const folder = fileURLToPath(new URL('../fixtures/golden/pixels/inputs/', import.meta.url));
const names = [
  'jpg_420_17x9.jpg',
  'bmp_rle8_160x120.bmp',
  'gif_partial_100x80.gif',
  'png_gray16_260x180.png',
  'webp_exif6_240x150.webp',
];

describe('createPreparePool', () => {
  it('returns the results of prepareImage for paths and bytes, many at once', async () => {
    await using pool = createPreparePool({ threads: 2 });
    const inputs = [...names, ...names].map((name, i) =>
      i % 2 === 0 ? folder + name : new Uint8Array(readFileSync(folder + name)),
    );
    const got = await Promise.all(inputs.map((input) => pool.prepareImage(input, { size: 56 })));
    const expected = await Promise.all(inputs.map((input) => prepareImage(input, { size: 56 })));
    expect(got).toEqual(expected);
  });

  it('prepares the frames of a clip into one block', async () => {
    await using pool = createPreparePool({ threads: 1 });
    const frames = [1, 2, 3].map((k) => ({
      width: 30,
      height: 20,
      data: Uint8Array.from({ length: 1800 }, (_, i) => (i * k) % 256),
    }));
    const block = await pool.prepareFrames(frames, { size: 28 });
    expect(block).toEqual(Uint8Array.from(frames.flatMap((frame) => [...prepareFrame(frame, { size: 28 }).data])));
  });

  it('returns typed errors and continues', async () => {
    await using pool = createPreparePool({ threads: 1 });
    await expect(pool.prepareImage('/nowhere.png', { size: 56 })).rejects.toMatchObject({ code: 'MEDIA_NOT_FOUND' });
    await expect(pool.prepareImage(folder, { size: 56 })).rejects.toMatchObject({ code: 'MEDIA_UNREADABLE' });
    await expect(
      pool.prepareImage(folder + 'jpg_420_17x9.jpg', { size: 56, limits: { maxPixels: 3 } }),
    ).rejects.toMatchObject({ code: 'MEDIA_TOO_LARGE' });
    expect((await pool.prepareImage(folder + 'jpg_420_17x9.jpg', { size: 56 })).width).toBe(56);
  });

  it.each(['process.exit(3)', 'throw new Error("struck")'])(
    'replaces a thread that dies of %s; only its own picture fails',
    async (death) => {
      let started = 0;
      const mortal = (): Worker =>
        new Worker(`require('node:worker_threads').parentPort.on('message', () => { ${death} })`, { eval: true });
      await using pool = createPreparePool({
        threads: 1,
        startThread: () => (started++ === 0 ? mortal() : startPrepareThread()),
      });
      const dying = pool.prepareImage(folder + 'jpg_420_17x9.jpg', { size: 56 });
      const after = pool.prepareImage(folder + 'jpg_420_17x9.jpg', { size: 56 });
      await expect(dying).rejects.toMatchObject({ code: 'MEDIA_CORRUPT' });
      expect((await after).width).toBe(56);
      expect(started).toBe(2);
    },
  );

  it('takes interactive pictures before bulk ones, and reports waiting pictures and the time per picture', async () => {
    const script = `const { parentPort } = require('node:worker_threads');
      parentPort.on('message', () => parentPort.postMessage({ data: new Uint8Array(3) }));`;
    await using pool = createPreparePool({ threads: 1, startThread: () => new Worker(script, { eval: true }) });
    const order: string[] = [];
    const ask = (name: string, lane?: Lane): Promise<unknown> =>
      pool.prepareImage(name, lane === undefined ? { size: 1 } : { size: 1, lane }).then(() => order.push(name));
    const gone = new AbortController();
    const leaving = pool.prepareImage('gone', { size: 1, lane: 'interactive', signal: gone.signal });
    const all = [ask('b1'), ask('b2', 'bulk'), ...Array.from({ length: 9 }, (_, i) => ask(`i${i}`, 'interactive'))];
    const aborted = pool.prepareImage('aborted', { size: 1, signal: gone.signal });
    expect(pool.load()).toEqual({
      threads: 1,
      running: 1,
      waiting: { interactive: 9, bulk: 3 },
      pictureMs: undefined,
    });
    gone.abort(new Error('gone'));
    await expect(Promise.all([leaving, aborted])).rejects.toThrow('gone');
    await expect(aborted).rejects.toThrow('gone');
    expect(pool.load().waiting).toEqual({ interactive: 9, bulk: 2 });
    await Promise.all(all);
    expect(order).toEqual(['i0', 'i1', 'i2', 'i3', 'i4', 'i5', 'i6', 'b1', 'i7', 'i8', 'b2']);
    expect(pool.load()).toMatchObject({ running: 0, waiting: { interactive: 0, bulk: 0 } });
    expect(pool.load().pictureMs).toBeGreaterThan(0);
  });

  it('refuses values that cannot be sent to a thread', async () => {
    await using pool = createPreparePool({ threads: 1 });
    await expect(pool.prepareImage((() => 1) as unknown as string, { size: 56 })).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
    });
    expect((await pool.prepareImage(folder + 'jpg_420_17x9.jpg', { size: 56 })).width).toBe(56);
  });

  it('cancels waiting and running pictures', async () => {
    await using pool = createPreparePool({ threads: 1 });
    const controller = new AbortController();
    const jobs = names.map((name) => pool.prepareImage(folder + name, { size: 448, signal: controller.signal }));
    const outcomes = Promise.allSettled(jobs);
    controller.abort(new Error('enough'));
    for (const outcome of await outcomes)
      expect(outcome).toMatchObject({ status: 'rejected', reason: { message: 'enough' } });
    expect((await pool.prepareImage(folder + 'jpg_420_17x9.jpg', { size: 56 })).width).toBe(56);
  });

  it('fails waiting pictures when it is closed, and accepts none afterwards', async () => {
    const pool = createPreparePool({ threads: 1 });
    const outcomes = Promise.allSettled(names.map((name) => pool.prepareImage(folder + name, { size: 448 })));
    await pool.close();
    const states = await outcomes;
    expect(states.at(-1)).toMatchObject({ status: 'rejected', reason: { code: 'CANCELLED' } });
    await expect(pool.prepareImage(folder + 'jpg_420_17x9.jpg', { size: 56 })).rejects.toMatchObject({
      code: 'CANCELLED',
    });
    await pool.close();
  });

  it('refuses a pool without threads', () => {
    expect(() => createPreparePool({ threads: 0 })).toThrow(/whole number from 1/);
  });
});
