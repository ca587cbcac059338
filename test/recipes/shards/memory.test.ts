import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
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

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

/** Memory of this thread in bytes after a collection; the resident memory is that of all test files of the process. */
function ownMemory(): number {
  collect();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

it('memory stays flat over 200 shards', async () => {
  const memory: number[] = [];
  let done = 0;
  const { summary } = await runFake({
    shards: [join(folder, '*.tar')],
    out: join(folder, 'out'),
    onEvent(event) {
      if (event.event === 'done' && ++done % 50 === 0) memory.push(ownMemory());
    },
  });
  expect(summary).toMatchObject({ written: SHARDS, items: SHARDS * 20 });
  const grown = memory[3]! - memory[1]!;
  // 100 shards hold 86 MB of pictures
  expect(grown).toBeLessThan(20e6);
}, 120_000);
