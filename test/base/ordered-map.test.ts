import { setTimeout as sleep } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { orderedMap } from '../../src/base/ordered-map.js';

async function collect<T>(source: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of source) all.push(item);
  return all;
}

describe('orderedMap', () => {
  it('keeps the order for any duration of each call', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: 0, max: 3 }), { maxLength: 30 }),
        fc.integer({ min: 1, max: 8 }),
        async (delays, width) => {
          const results = await collect(
            orderedMap(delays.entries(), width, async ([i, delay]) => (await sleep(delay), i)),
          );
          expect(results).toEqual([...delays.keys()]);
        },
      ),
      { numRuns: 30 },
    );
  });

  it('reads at most its width ahead of a slow reader, and runs at most as many at a time', async () => {
    let [read, running, most] = [0, 0, 0];
    function* source(): Generator<number> {
      for (; read < 100_000; read += 1) yield read;
    }
    const mapped = orderedMap(source(), 8, async (n) => {
      running += 1;
      most = Math.max(most, running);
      await sleep(0);
      running -= 1;
      return n;
    });
    for (let i = 0; i < 20; i += 1) {
      expect((await mapped.next()).value).toBe(i);
      await sleep(1);
      expect(read).toBeLessThanOrEqual(i + 10);
    }
    expect(most).toBeLessThanOrEqual(8);
    await mapped.return();
  });

  it('keeps no reference to finished inputs', async () => {
    setFlagsFromString('--expose-gc');
    const collectGarbage = runInNewContext('gc') as () => void;
    const mapped = orderedMap([...Array(2000).keys()], 8, async (n) => ({ n }), new AbortController().signal);
    const given: WeakRef<object>[] = [];
    for (let i = 0; i < 1900; i += 1) given.push(new WeakRef((await mapped.next()).value as object));
    await sleep(0); // the target of a WeakRef lives until the end of its turn
    collectGarbage();
    expect(given.filter((result) => result.deref() !== undefined).length).toBeLessThan(100);
    await mapped.return();
  });

  it('returns finished results while the source is slow', async () => {
    async function* slow(): AsyncGenerator<number> {
      yield 1;
      await sleep(5_000);
      yield 2;
    }
    const mapped = orderedMap(slow(), 4, async (n) => n);
    const first = await Promise.race([mapped.next(), sleep(1_000).then(() => 'late')]);
    expect(first).toEqual({ done: false, value: 1 });
  });

  it('ends at once when aborted, even if the source never answers', async () => {
    const stop = new AbortController();
    async function* never(): AsyncGenerator<number> {
      await new Promise(() => {});
      yield 1;
    }
    const reading = orderedMap(never(), 4, async (n) => n, stop.signal).next();
    stop.abort(new Error('enough'));
    await expect(reading).rejects.toThrow('enough');
  });

  it('ends with the rejection of one call', async () => {
    await expect(
      collect(
        orderedMap([1, 2, 3], 2, async (n) => {
          if (n === 2) throw new Error('two');
          return n;
        }),
      ),
    ).rejects.toThrow('two');
  });
});
