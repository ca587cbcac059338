import { describe, expect, it } from 'vitest';
import type { WorkerLink } from '../../bridge/client.js';
import { LatencyModel } from '../../src/engine/latency.js';
import { Pool } from '../../src/engine/pool.js';
import type { Slot } from '../../src/engine/slot.js';

const LOGITS = { logits: [1, 2, 3, 4, 5], log_sum_exp: 6, positions: 7 };

/** Remote workers, whose devices are known only from their loaded models. Returns the largest batch of each. */
function poolOf(...devices: readonly string[]): { pool: Pool; largest: number[] } {
  const pool = new Pool(
    (device) => (device.startsWith('cuda') ? 64 : 16),
    () => {},
  );
  const largest = devices.map(() => 0);
  pool.slots.push(
    ...devices.map((device, at) => slot(device, (frames) => (largest[at] = Math.max(largest[at]!, frames)))),
  );
  return { pool, largest };
}

function slot(device: string, onBatch: (frames: number) => void): Slot {
  const link = {
    credits: 2,
    quiet: false,
    request: async (
      _: string,
      { items }: { items: { id: string; visuals: { frames: number }[]; prompts: unknown[] }[] },
    ) => {
      link.credits--;
      onBatch(items.flatMap(({ visuals }) => visuals).reduce((sum, { frames }) => sum + frames, 0));
      await new Promise((resolve) => setTimeout(resolve, 2));
      link.credits++;
      const answers = items.map(({ id, prompts }) => ({ id, prompts: prompts.map(() => LOGITS) }));
      return { items: answers, timings: { compute_ms: 1 } };
    },
  };
  return {
    ...{
      device: 'remote',
      model: { device, views: ['whole'] },
      link: link as unknown as WorkerLink,
      latency: new LatencyModel(),
    },
    ...{ inFlight: 0, sentAt: [], framesInFlight: 0, freeSince: 0, restarts: 0, exclusive: false, dead: undefined },
    ...{ state: 'ready', failed: () => {}, succeeded: () => {}, close: async () => {} },
  } as unknown as Slot;
}

const ask = (pool: Pool, sizes: readonly number[]): Promise<unknown> =>
  Promise.all(
    sizes.map((frames) =>
      pool.submit({ visuals: [{ frames, data: new Uint8Array(frames) }], prompts: ['p'] }).catch(() => {}),
    ),
  );
const ones = (count: number): number[] => Array<number>(count).fill(1);

describe('batches of remote workers', () => {
  it.each([
    ['cuda:0', 64],
    ['cpu', 16],
  ])('a worker on %s gets %i frames', async (device, frames) => {
    const { pool, largest } = poolOf(device);
    expect(pool.stats()).toMatchObject({ maxBatchFrames: frames, batchFrames: frames });
    await ask(pool, ones(300));
    expect(largest).toEqual([frames]);
  });

  it('are limited by the worker that takes them, and larger items go to the larger worker', async () => {
    const { pool, largest } = poolOf('cpu', 'cuda:0');
    expect(pool.stats()).toMatchObject({ maxBatchFrames: 64, batchFrames: 80 });
    await ask(pool, [...ones(400), ...Array<number>(20).fill(40)]);
    expect(largest).toEqual([16, 64]);
    Object.assign(pool.slots[1] as Slot, { state: 'set_aside', link: undefined });
    await ask(pool, [40]);
    expect(largest).toEqual([40, 64]);
  });
});
