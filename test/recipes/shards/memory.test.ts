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

it('memory stays flat over 200 shards', async () => {
  const memory: number[] = [];
  const { summary } = await runFake({
    shards: [join(folder, '*.tar')],
    out: join(folder, 'out'),
    onEvent(event) {
      if (event.event === 'done') memory.push(process.memoryUsage().rss);
    },
  });
  expect(summary).toMatchObject({ written: SHARDS, items: SHARDS * 20 });
  const mean = (from: number, to: number): number =>
    memory.slice(from, to).reduce((sum, value) => sum + value, 0) / (to - from);
  const grown = mean(150, 200) - mean(50, 100);
  // 100 shards hold 86 MB of pictures
  expect(grown).toBeLessThan(40e6);
}, 120_000);
