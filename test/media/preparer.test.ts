import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { kindOf, kindOfRecord } from '../../src/media/media-kind.js';
import type { PreparePool } from '../../src/media/prepare-pool.js';
import { createPreparer } from '../../src/media/preparer.js';

const pictures = fileURLToPath(new URL('../fixtures/pictures/', import.meta.url));
const load = { threads: 3, running: 0, waiting: { interactive: 0, bulk: 0 }, pictureMs: undefined };
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'qalign-preparer-'));
  await mkdir(join(folder, 'frames'));
  for (const name of ['10.png', '2.png', '1.png', '.frames.json']) await writeFile(join(folder, 'frames', name), '');
  await mkdir(join(folder, 'empty'));
});
afterAll(() => rm(folder, { recursive: true }));

/** Returns the number in the name of the file, and records the requests. */
function recordingPool(): { asked: [string, object][]; pool: PreparePool } {
  const asked: [string, object][] = [];
  const pool: PreparePool = {
    threads: 3,
    prepareImage: async (input, options) => {
      const name = typeof input === 'string' ? basename(input) : '<bytes>';
      asked.push([name, options]);
      const data = new Uint8Array(options.size ** 2 * 3).fill(Number.parseInt(name, 10) || 0);
      return { width: options.size, height: options.size, data, original: { width: 9, height: 7 }, warnings: [] };
    },
    prepareCopies: () => Promise.reject(new Error('not asked for')),
    prepareWindows: () => Promise.reject(new Error('not asked for')),
    prepareFrames: () => Promise.reject(new Error('not asked for')),
    load: () => load,
    close: async () => {},
    [Symbol.asyncDispose]: async () => {},
  };
  return { asked, pool };
}

describe('createPreparer', () => {
  it('prepares a picture on the pool, with all options', async () => {
    const { asked, pool } = recordingPool();
    const preparer = createPreparer(pool);
    const { signal } = new AbortController();
    const limits = { maxPixels: 9 };
    const options = { size: 2, autoOrient: true, fps: 2, maxFrames: 3, limits, lane: 'interactive', signal } as const;
    const prepared = await preparer.prepare({ media: '/a/7.png', kind: 'image' }, options);
    expect(prepared).toEqual({ data: new Uint8Array(12).fill(7), frames: 1, width: 9, height: 7, warnings: [] });
    await preparer.prepare({ media: new Uint8Array(1), kind: 'image' }, { size: 2 });
    expect(asked).toEqual([
      ['7.png', { size: 2, autoOrient: true, limits, lane: 'interactive', signal }],
      ['<bytes>', { size: 2, autoOrient: false, lane: 'bulk' }],
    ]);
    expect([preparer.width, preparer.load()]).toEqual([6, load]);
  });

  it.each(['folder', 'video'] as const)(
    'reads a folder of frames in the order of their numbers, as %s',
    async (kind) => {
      const { asked, pool } = recordingPool();
      const media = join(folder, 'frames');
      const { data, frames, warnings } = await createPreparer(pool).prepare({ media, kind }, { size: 1 });
      expect([...data]).toEqual([1, 1, 1, 2, 2, 2, 10, 10, 10]);
      expect([frames, warnings]).toEqual([3, []]);
      expect(asked.map(([, options]) => options)).toEqual(Array(3).fill({ size: 1, autoOrient: false, lane: 'bulk' }));
      const few = await createPreparer(pool).prepare({ media, kind }, { size: 1, maxFrames: 2 });
      expect([...few.data]).toEqual([1, 1, 1, 2, 2, 2]);
    },
  );

  it('reads a clip in chunks, repeatedly, with the pixels of the whole clip', async () => {
    const { asked, pool } = recordingPool();
    const media = join(folder, 'frames');
    const clip = await createPreparer(pool).open({ media, kind: 'video' }, { size: 1, lane: 'interactive' });
    expect(clip.frames).toBe(3);
    for (const most of [2, 1, 3, 9]) {
      const chunks: number[][] = [];
      for await (const { frames, data } of clip.chunks(most)) {
        expect(data).toHaveLength(frames * 3);
        chunks.push([...data].filter((_, at) => at % 3 === 0));
      }
      expect(chunks.flat()).toEqual([1, 2, 10]);
      expect(chunks.map(({ length }) => length)).toEqual({ 1: [1, 1, 1], 2: [2, 1] }[most] ?? [3]);
    }
    expect(clip).toMatchObject({ width: 9, height: 7, frameRule: 'counted', warnings: [] });
    expect(asked[0]).toEqual(['1.png', { size: 1, autoOrient: false, lane: 'interactive' }]);
    await clip.close();
  });

  it('refuses a folder without frames', async () => {
    const { pool } = recordingPool();
    const empty = createPreparer(pool).prepare({ media: join(folder, 'empty'), kind: 'folder' }, { size: 1 });
    await expect(empty).rejects.toMatchObject({ code: 'MEDIA_NOT_FOUND' });
  });
});

describe('the kind of media', () => {
  it('is found from the first bytes, and is a picture if they are unknown', async () => {
    expect(await kindOf(join(pictures, 'pan.mp4'))).toBe('video');
    expect(await kindOf(join(pictures, 'pristine.jpg'))).toBe('image');
    expect(await kindOf(new Uint8Array(40))).toBe('image');
  });

  it('of a record is the kind in the record, but a directory is a folder of frames', async () => {
    const clip = join(pictures, 'pan.mp4');
    expect(await kindOfRecord({ media: clip })).toBe('video');
    expect(await kindOfRecord({ media: clip, kind: 'image' })).toBe('image');
    expect(await kindOfRecord({ media: join(folder, 'frames'), kind: 'video' })).toBe('folder');
    await expect(kindOfRecord({ media: join(folder, 'gone') })).rejects.toMatchObject({ code: 'MEDIA_NOT_FOUND' });
  });
});
