import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { shardOf } from './make-shards.js';
import { runFake } from './shard-scorer.js';

const SHARDS = 200;
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'qalign-flat-'));
  const bytes = shardOf('x', 20, 120);
  for (let at = 0; at < SHARDS; at++) await writeFile(join(folder, `${String(at).padStart(3, '0')}.tar`), bytes);
});
afterAll(() => rm(folder, { recursive: true }));

/** Memory of this thread in bytes; the resident memory is that of all test files of the process. */
function ownMemory(): number {
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

it('memory stays flat over 200 shards', async () => {
  const memory: number[] = [];
  const { summary } = await runFake({
    shards: [join(folder, '*.tar')],
    out: join(folder, 'out'),
    onEvent(event) {
      if (event.event === 'done') memory.push(ownMemory());
    },
  });
  expect(summary).toMatchObject({ written: SHARDS, items: SHARDS * 20 });
  // the lowest values are those after a garbage collection
  const grown = Math.min(...memory.slice(150, 200)) - Math.min(...memory.slice(50, 100));
  // 100 shards hold 86 MB of pictures
  expect(grown).toBeLessThan(20e6);
}, 120_000);
