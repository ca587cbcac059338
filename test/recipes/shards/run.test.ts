import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { asyncBufferFromFile, parquetMetadataAsync, parquetReadObjects } from 'hyparquet';
import { compressors } from 'hyparquet-compressors';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { QalignError } from '../../../src/base/errors.js';
import { picture, shardOf, tarOf } from './make-shards.js';
import { fakeShardParts, prepareLastByte, runFake } from './shard-scorer.js';
import { inputOf } from '../../../src/recipes/shards/result/shard-input.js';
import { scoreShardsWith, type ShardParts } from '../../../src/recipes/shards/score-shards.js';
import type { Store } from '../../../src/recipes/shards/store/store.js';
import type { FakeLog } from '../score/fake-scorer.js';

let folder: string;
let out: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'qalign-shards-'));
  out = join(folder, 'out');
  for (const name of ['a', 'b']) await writeFile(join(folder, `${name}.tar`), shardOf(name, 20));
});
afterEach(() => rm(folder, { recursive: true }));

const shards = (): string[] => [`${folder}/{a,b}.tar`];
const rowsOf = async (name: string): Promise<Record<string, unknown>[]> =>
  parquetReadObjects({ file: await asyncBufferFromFile(join(out, name)), compressors });
const linesOf = async (name: string): Promise<Record<string, unknown>[]> =>
  (await readFile(join(out, name), 'utf8'))
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line) as Record<string, unknown>);

describe('scoreShards', () => {
  it('writes one Parquet file for each shard, with what all rows share once', async () => {
    const { summary, events } = await runFake({ shards: shards(), out });
    expect(summary).toMatchObject({ shards: 2, written: 2, present: 0, failed: 0, items: 40, failedItems: 0 });
    expect(events.map(({ event }) => event)).toEqual(['done', 'done']);
    const rows = await rowsOf('a.scores.parquet');
    expect(rows.map(({ key }) => key)).toEqual(
      Array.from({ length: 20 }, (_, at) => `a-${String(at).padStart(3, '0')}`),
    );
    expect(Object.keys(rows[0]!)).not.toContain('score_version');
    const file = await asyncBufferFromFile(join(out, 'a.scores.parquet'));
    const { key_value_metadata: pairs = [] } = await parquetMetadataAsync(file);
    const meta = Object.fromEntries(pairs.map(({ key, value }) => [key, JSON.parse(value ?? '') as object]));
    expect(meta['qalign_shard']).toMatchObject({ items: 20, failed: 0, rows: 20, input: { name: 'a.tar' } });
    expect(meta['qalign']).toMatchObject({ models: [{ model: { precision: 'fp32' } }] });
    expect(await linesOf('qalign-manifest.jsonl')).toMatchObject([
      { shard: `${folder}/a.tar`, state: 'done', items: 20, failed: 0 },
      { shard: `${folder}/b.tar`, state: 'done' },
    ]);
  });

  it('computes nothing again, and leaves the same files', async () => {
    await runFake({ shards: shards(), out, keep: 'score>=1' });
    const before = await contentOf(out);
    const { summary, events, log } = await runFake({ shards: shards(), out, keep: 'score >= 1' });
    expect(summary).toMatchObject({ written: 0, present: 2, failed: 0, items: 40 });
    expect(events).toMatchObject([{ commit: 'present' }, { commit: 'present' }]);
    expect(log.engineCalls).toEqual([]);
    expect(await contentOf(out)).toEqual(before);
  });

  it('refuses results of other settings, cut results and foreign files, and keeps them', async () => {
    await runFake({ shards: shards(), out });
    const was = (await contentOf(out))['a.scores.parquet'];
    const list = (await contentOf(out))['qalign-manifest.jsonl'];
    await writeFile(join(folder, '0.tar'), shardOf('0', 2));
    const other = runFake({ shards: [`${folder}/*.tar`, `${folder}/c.tar`], out, scale: 'unit' });
    await expect(other).rejects.toMatchObject({
      code: 'RESUME_MISMATCH',
      message: expect.stringMatching(
        /was written with score_version [0-9a-f]{16}, but this run has [0-9a-f]{16}/,
      ) as string,
    });
    const kept = await contentOf(out);
    expect(kept['a.scores.parquet']).toBe(was);
    const states = (await linesOf('qalign-manifest.jsonl')).map(({ state }) => state);
    expect(states).toEqual(['done', 'done', 'done']); // 0.tar was scored before
    expect(Buffer.from(kept['qalign-manifest.jsonl']!, 'hex').includes(Buffer.from(list!, 'hex'))).toBe(true);
    await truncate(join(out, 'a.scores.parquet'), was!.length / 2 - 10);
    await writeFile(join(out, 'b.scores.parquet'), 'mine');
    const cut = await runFake({ shards: shards(), out });
    expect(cut.events.map((event) => (event as { error: { message: string } }).error.message)).toEqual([
      expect.stringMatching(/a.scores.parquet is incomplete/),
      expect.stringMatching(/b.scores.parquet is incomplete, or no result/),
    ]);
    expect(await readFile(join(out, 'b.scores.parquet'), 'utf8')).toBe('mine');
    const limited = await runFake({ shards: [join(folder, 'a.tar')], out: join(folder, 'two'), limit: 3 });
    expect(limited.summary.items).toBe(3);
    const all = runFake({ shards: [join(folder, 'a.tar')], out: join(folder, 'two') });
    await expect(all).rejects.toThrow(/limit = 3, but this run has none/);
  });

  it('refuses a result whose shard has changed', async () => {
    await runFake({ shards: shards(), out });
    await writeFile(join(folder, 'a.tar'), shardOf('a', 21));
    const { events } = await runFake({ shards: shards(), out });
    expect(events).toMatchObject([
      {
        event: 'failed',
        error: {
          message: expect.stringMatching(
            /a.tar with \d+ bytes and sha256 [0-9a-f]{16} of its ends, and the shard has changed/,
          ) as string,
        },
      },
      { event: 'done', commit: 'present' },
    ]);
  });

  it('refuses a result whose shard has changed at one end, with the same size', async () => {
    const bytes = shardOf('a', 20);
    for (const at of [600, bytes.length - 1]) {
      await rm(out, { recursive: true, force: true });
      await writeFile(join(folder, 'a.tar'), bytes);
      await runFake({ shards: shards(), out });
      const changed = Buffer.from(bytes);
      changed[at]! ^= 1;
      await writeFile(join(folder, 'a.tar'), changed);
      const { events, log } = await runFake({ shards: shards(), out });
      expect(events).toMatchObject([{ event: 'failed', error: { code: 'RESUME_MISMATCH' } }, { commit: 'present' }]);
      expect(log.engineCalls).toEqual([]);
    }
  });

  it('hashes the first and last MiB of a local shard', async () => {
    const { store, read } = countedStore(5 << 20);
    const whole = await inputOf(store, 'x/a.tar', { bytes: 5 << 20 });
    expect(whole).toMatchObject({ name: 'a.tar', etag: null });
    expect(read).toEqual([
      [0, 1 << 20],
      [4 << 20, 5 << 20],
    ]);
    expect((await inputOf(store, 'a.tar', { bytes: 3, etag: 'e' })).ends_sha256).toBeNull();
    for (const bytes of [0, 3, (1 << 20) + 1]) {
      const wanted = createHash('sha256').update(Buffer.alloc(bytes)).digest('hex');
      expect((await inputOf(store, 'a.tar', { bytes })).ends_sha256).toBe(wanted);
    }
  });

  it('writes JSONL with its size beside it, and refuses it when it was cut', async () => {
    const { summary } = await runFake({ shards: shards(), out, format: 'jsonl' });
    expect(summary.written).toBe(2);
    const rows = await linesOf('a.scores.jsonl');
    expect(rows[0]).toMatchObject({
      key: 'a-000',
      task: 'quality',
      score_version: expect.stringMatching(/^[0-9a-f]{16}$/) as string,
    });
    expect((await runFake({ shards: shards(), out, format: 'jsonl' })).summary.present).toBe(2);
    await truncate(join(out, 'a.scores.jsonl'), 100);
    expect((await runFake({ shards: shards(), out, format: 'jsonl' })).summary).toMatchObject({
      failed: 1,
      present: 1,
    });
  });

  it('writes the keys that a condition accepts', async () => {
    await runFake({ shards: shards(), out, keep: 'score>=3.5' });
    const good = (await rowsOf('a.scores.parquet')).filter(({ score }) => (score as number) >= 3.5);
    expect(good.length).toBeGreaterThan(0);
    expect(good.length).toBeLessThan(20);
    expect(await readFile(join(out, 'a.keep.txt'), 'utf8')).toBe(good.map(({ key }) => `${String(key)}\n`).join(''));
  });

  it('gives a damaged picture a row, and a damaged tar no result', async () => {
    const tar = tarOf([
      { name: '0.ppm', bytes: picture(9) },
      { name: '1.jpg', bytes: 'no picture' },
    ]);
    await writeFile(join(folder, 'a.tar'), tar);
    await writeFile(join(folder, 'b.tar'), tar.subarray(0, 900));
    const { summary, events } = await runFake({ shards: shards(), out });
    expect(summary).toMatchObject({ written: 1, failed: 1, items: 2, failedItems: 1 });
    expect(await rowsOf('a.scores.parquet')).toMatchObject([
      { key: '0', error_code: null },
      { key: '1', score: null, error_code: 'MEDIA_CORRUPT', error_message: '1.jpg is damaged.' },
    ]);
    expect(events[1]).toMatchObject({ event: 'failed', error: { code: 'SHARD_DAMAGED' } });
    expect((await readdir(out)).sort()).toEqual(['a.scores.parquet', 'qalign-manifest.jsonl']);
    const lines = await linesOf('qalign-manifest.jsonl');
    expect(lines[1]).toMatchObject({
      state: 'failed',
      error: { message: expect.stringMatching(/at byte \d+/) as string },
    });
  });

  it('fails a shard whose worker was lost, and does not write an error of the machine into a row', async () => {
    const { summary, events } = await runFake({ shards: shards(), out }, (source) =>
      source.input === 'a-007.ppm'
        ? Promise.reject(new QalignError('WORKER_LOST', 'The worker died.'))
        : prepareLastByte(source),
    );
    expect(summary).toMatchObject({ written: 1, failed: 1 });
    expect(events[0]).toMatchObject({ event: 'failed', error: { code: 'WORKER_LOST', retry: true } });
  });

  it('scores every N-th shard of a part into a list of its own', async () => {
    const { summary } = await runFake({ shards: shards(), out, part: '2/2' });
    expect(summary.shards).toBe(1);
    expect((await readdir(out)).sort()).toEqual(['b.scores.parquet', 'qalign-manifest-2-of-2.jsonl']);
  });

  it('loads no model for an empty part, and refuses an empty list', async () => {
    const parts: ShardParts = { createScorer: () => Promise.reject(new Error('the model was loaded')) };
    const options = { model: 'tiny-untrained', out };
    expect(await scoreShardsWith(parts, { ...options, shards: shards(), part: '3/3' })).toMatchObject({ shards: 0 });
    await expect(scoreShardsWith(parts, { ...options, shards: [`${folder}/*.jsonl`] })).rejects.toMatchObject({
      code: 'SHARD_NOT_FOUND',
    });
  });

  it('computes nothing in a second run with its results beside its inputs', async () => {
    for (const format of ['parquet', 'jsonl'] as const) {
      const options = { shards: [`${folder}/*`], out: folder, format, keep: 'score>=1' };
      expect((await runFake(options)).summary).toMatchObject({ shards: 2, written: 2 });
      expect((await runFake(options)).summary).toMatchObject({ shards: 2, written: 0, present: 2 });
      for (const name of ['a', 'b']) await rm(join(folder, `${name}.keep.txt`));
    }
  });

  it('keeps a file that has the name of its list but is none, and loads no model', async () => {
    await mkdir(out);
    const name = join(out, 'qalign-manifest.jsonl');
    for (const text of ['{"shard":"a","state":"done","mine":1}\n', '{"path":"x.png"}\n', 'mine', '[]\n']) {
      await writeFile(name, text);
      const log: FakeLog = { engineCalls: [], closed: 0 };
      const running = scoreShardsWith(fakeShardParts(log), { model: 'tiny-untrained', shards: shards(), out });
      await expect(running).rejects.toMatchObject({
        code: 'RESUME_MISMATCH',
        message: expect.stringMatching(/line 1 .* not replaced/) as string,
      });
      expect(log).toEqual({ engineCalls: [], closed: 0 });
      expect(await readFile(name, 'utf8')).toBe(text);
      expect(await readdir(out)).toEqual(['qalign-manifest.jsonl']);
    }
    await writeFile(join(out, 'manifest.jsonl'), 'mine');
    await rm(name);
    await runFake({ shards: shards(), out });
    expect(await readFile(join(out, 'manifest.jsonl'), 'utf8')).toBe('mine');
  });

  it('ends without a draft when it is stopped', async () => {
    const stop = new AbortController();
    const running = runFake({ shards: shards(), out, signal: stop.signal }, async (source) => {
      if (source.input === 'b-003.ppm') stop.abort();
      return prepareLastByte(source);
    });
    await expect(running).rejects.toMatchObject({ code: 'CANCELLED' });
    expect((await readdir(out)).sort()).toEqual(['a.scores.parquet', 'qalign-manifest.jsonl']);
  });
});

/** Zeros, and the ranges that were read. */
function countedStore(bytes: number): { store: Store; read: (readonly [number, number])[] } {
  const read: (readonly [number, number])[] = [];
  const store: Partial<Store> = {
    read: async (_name, from, to) => {
      read.push([from, to]);
      return Buffer.alloc(Math.min(to, bytes) - from);
    },
  };
  return { store: store as Store, read };
}

async function contentOf(path: string): Promise<Record<string, string>> {
  const names = await readdir(path);
  const texts = await Promise.all(
    names.map(async (name) => [name, (await readFile(join(path, name))).toString('hex')]),
  );
  return Object.fromEntries(texts) as Record<string, string>;
}
