import { setMaxListeners } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { QalignError } from '../../../src/base/errors.js';
import type { EngineStats } from '../../../src/engine/index.js';
import { mulberry32 } from '../../../src/base/random.js';
import type { ClipReader } from '../../../src/media/preparer.js';
import { gateClips } from '../../../src/recipes/score/gate/clip-gate.js';
import type { ScoringPreparer } from '../../../src/recipes/score/scorer.js';

const BATCH = 16;
const BUDGET = 128;
const stats = (): EngineStats => ({ maxBatchFrames: BATCH, batchFrames: BATCH }) as EngineStats;

/** Counts the frames in memory and the clips that are read. The number of frames is the name of the clip. */
function fakeClips(): {
  preparer: ScoringPreparer;
  now: Record<'frames' | 'reading' | 'open', number>;
  most: Record<string, number>;
} {
  const now = { frames: 0, reading: 0, open: 0 };
  const most: Record<string, number> = { frames: 0, reading: 0, open: 0 };
  const add = (name: keyof typeof now, count: number): void => {
    now[name] += count;
    most[name] = Math.max(most[name] ?? 0, now[name]);
  };
  const during = async (ms: number): Promise<void> => {
    add('reading', 1);
    await sleep(ms).finally(() => add('reading', -1));
  };
  const open = async (frames: number): Promise<ClipReader> => {
    await during(1);
    if (frames === 0) throw new QalignError('MEDIA_CORRUPT', 'damaged.');
    add('open', 1);
    let held = 0;
    return {
      frames,
      async *chunks(size: number) {
        for (let at = 0; at < frames; at += size) {
          const count = Math.min(size, frames - at);
          await during(1);
          add('frames', count);
          held += count;
          yield { frames: count, data: new Uint8Array(0) };
        }
      },
      close: async () => {
        add('open', -1);
        add('frames', -held);
      },
      // a chunk of a long clip is gone once it is encoded
      drop: (count: number) => (add('frames', -count), (held -= count)),
    } as unknown as ClipReader;
  };
  const preparer = { open: (source: { media: string }) => open(Number(source.media)) } as unknown as ScoringPreparer;
  return { preparer, now, most };
}

const media = (frames: number): Parameters<ScoringPreparer['open']>[0] => ({ media: String(frames), kind: 'video' });

/** Reads a clip as the engine does: chunk by chunk, with the next chunk read while one is computed. */
async function score(preparer: ScoringPreparer, frames: number, options: object = {}): Promise<number> {
  const clip = await preparer.open(media(frames), { size: 4, ...options });
  try {
    const chunks = clip.chunks(Math.min(frames, BATCH))[Symbol.asyncIterator]();
    let read = 0;
    let reading = chunks.next();
    for (let step = await reading; step.done !== true; step = await reading) {
      reading = chunks.next();
      reading.catch(() => {});
      await sleep(1);
      read += step.value.frames;
      if (frames > BATCH) (clip as unknown as { drop: (count: number) => void }).drop(step.value.frames);
    }
    await sleep(1);
    return read;
  } finally {
    await clip.close();
  }
}

describe('the clips that are decoded at a time', () => {
  it('have bounded frames, processes and open files for any mix of lengths, with corrupt clips between', async () => {
    const { preparer, now, most } = fakeClips();
    const gated = gateClips(preparer, stats, 8);
    const random = mulberry32(7);
    const lengths = Array.from({ length: 1000 }, (_, i) =>
      i % 3 === 0 ? 0 : i % 250 === 1 ? 3600 : 1 + Math.floor(random() * 40),
    );
    const ended = await Promise.allSettled(lengths.map((frames) => score(gated, frames)));
    expect(ended.map((one) => (one.status === 'fulfilled' ? one.value : 0))).toEqual(lengths);
    expect(now).toEqual({ frames: 0, reading: 0, open: 0 });
    expect(most['frames']).toBeGreaterThan(BUDGET / 2);
    expect(most['frames']).toBeLessThanOrEqual(BUDGET);
    expect(most['reading']).toBe(4);
    expect(most['open']).toBeLessThanOrEqual(BUDGET + 4);
  }, 60_000);

  it('fill four batches of every worker', async () => {
    const { preparer, most } = fakeClips();
    const big = (): EngineStats => ({ maxBatchFrames: 64, batchFrames: 128 }) as EngineStats;
    const gated = gateClips(preparer, big, 200);
    await Promise.all(Array.from({ length: 200 }, () => score(gated, 12)));
    expect(most['frames']).toBe(12 * Math.floor(512 / 12));
  });

  it('let an interactive clip pass bulk clips', async () => {
    const { preparer } = fakeClips();
    const gated = gateClips(preparer, stats, 2);
    let release!: () => void;
    const released = new Promise<void>((resolve) => (release = resolve));
    let read = 0;
    const bulk = Array.from({ length: 40 }, async () => {
      const clip = await gated.open(media(16), { size: 4 });
      for await (const chunk of clip.chunks(16)) read += chunk.frames;
      await released;
      await clip.close();
    });
    while (read < BUDGET) await sleep(1);
    expect(await score(gated, 8, { lane: 'interactive' })).toBe(8);
    expect(read).toBe(BUDGET);
    release();
    await Promise.all(bulk);
  });

  it('give back every frame and turn when their calls are cancelled', async () => {
    const { preparer, now } = fakeClips();
    const gated = gateClips(preparer, stats, 2);
    for (let round = 0; round < 20; round++) {
      const stop = new AbortController();
      setMaxListeners(0, stop.signal);
      const all = Array.from({ length: 60 }, (_, i) => score(gated, 1 + ((7 * i) % 60), { signal: stop.signal }));
      const ended = Promise.allSettled(all);
      await sleep(round);
      stop.abort(new Error('went away'));
      await ended;
    }
    while (now.reading > 0) await sleep(1);
    expect(now).toMatchObject({ reading: 0, open: 0 });
    expect(await Promise.all([score(gated, 16), score(gated, 3600)])).toEqual([16, 3600]);
  }, 20_000);

  it('do not wait for a clip whose worker is slow', async () => {
    const { preparer } = fakeClips();
    const gated = gateClips(preparer, stats, 2);
    const slow: ClipReader[] = [];
    for (let i = 0; i < 3; i++) {
      const clip = await gated.open(media(32), { size: 4 });
      await clip.chunks(BATCH)[Symbol.asyncIterator]().next();
      slow.push(clip);
    }
    expect(await score(gated, 8)).toBe(8);
    for (const clip of slow) await clip.close();
  });
});
