import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { parquetWriteBuffer } from 'hyparquet-writer';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { inBlocks } from '../../../src/recipes/shards/blocks.js';
import { openShard } from '../../../src/recipes/shards/read/open-shard.js';
import type { PendingSample, Sample } from '../../../src/recipes/shards/read/sample.js';
import { readTar } from '../../../src/recipes/shards/read/tar.js';
import { createStores } from '../../../src/recipes/shards/store/open-stores.js';
import { chunksOf, collect, picture, shardOf, tarHeader, tarOf } from './make-shards.js';

const MOST = 1 << 20;
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'qalign-readers-'));
});
afterAll(() => rm(folder, { recursive: true }));

async function samplesOf(name: string, bytes: Uint8Array | string, most = MOST): Promise<Sample[]> {
  const path = join(folder, name);
  await writeFile(path, bytes);
  const stores = createStores();
  const pending = openShard(path, { bytes: Buffer.from(bytes as string).length }, stores, { allowUrls: false, most });
  return Promise.all((await collect(pending)).map((one) => one.open()));
}

const shown = ({ key, source }: Sample): unknown[] => [key, source.input, source.error?.code ?? source.identity?.bytes];

describe('readTar', () => {
  it('reads members of any size from chunks of any size', async () => {
    const members = [0, 1, 511, 512, 513, 5000].map((size) => ({ name: `m${size}`, bytes: Buffer.alloc(size, size) }));
    for (const size of [1, 100, 512, 100_000]) {
      const found = await collect(readTar(chunksOf(tarOf(members), size), 'x.tar', MOST));
      expect(found.map(({ name, bytes }) => ({ name, bytes }))).toEqual(members);
    }
  });

  it('reads long names of GNU and of POSIX, and skips folders and members above the limit', async () => {
    const long = `${'d/'.repeat(80)}picture.png`;
    const pax = (text: string): Buffer => {
      const record = ` path=${text}\n`;
      return Buffer.from(`${record.length + 3}${record}`);
    };
    const padded = (bytes: Buffer): Buffer => Buffer.concat([bytes, Buffer.alloc((512 - (bytes.length % 512)) % 512)]);
    const record = pax(long);
    const tar = Buffer.concat([
      ...[tarHeader('././@LongLink', long.length + 1, 'L'), padded(Buffer.from(`${long}\0`)), tarHeader('short', 0)],
      ...[tarHeader('pax', record.length, 'x'), padded(record), tarHeader('short', 0)],
      ...[tarHeader('folder/', 0, '5'), tarHeader('big', 600), Buffer.alloc(1024), Buffer.alloc(1024)],
    ]);
    const found = await collect(readTar(chunksOf(tar), 'x.tar', 500));
    expect(found.map(({ name, bytes }) => [name, bytes?.length])).toEqual([
      [long, 0],
      [long, 0],
      ['big', undefined],
    ]);
  });

  it('names the place of every kind of damage', async () => {
    const tar = tarOf([{ name: 'a', bytes: Buffer.alloc(700) }]);
    const broken = Buffer.from(tar);
    broken[0] = 0x62;
    const cases: [Buffer, RegExp][] = [
      [tar.subarray(0, 600), /the member a is cut at byte 600/],
      [tar.subarray(0, 512 + 1024), /ends without its last block at byte 1536/],
      [tar.subarray(0, 512 + 1024 + 10), /a header is cut at byte 1536/],
      [broken, /wrong checksum at byte 0/],
      [Buffer.concat([tar, Buffer.alloc(9000), tar]), /ends at byte 1536, but other bytes follow at byte 11560/],
      [Buffer.concat([tar, Buffer.from('x')]), /ends at byte 1536, but other bytes follow at byte 2560/],
      [Buffer.alloc(0), /ends without its last block at byte 0/],
      [Buffer.from('not a tar'.repeat(100)), /wrong checksum at byte 0/],
    ];
    for (const [bytes, message] of cases)
      await expect(collect(readTar(chunksOf(bytes), 'x.tar', MOST))).rejects.toThrow(message);
    expect(await collect(readTar(chunksOf(Buffer.concat([tar, Buffer.alloc(8700)])), 'x.tar', MOST))).toHaveLength(1);
  });
});

describe('samples', () => {
  it('of a WebDataset tar have the key of their JSON, else their base name; other members are ignored', async () => {
    const tar = tarOf([
      { name: './a/0.ppm', bytes: picture(1) },
      { name: './a/0.json', bytes: '{"key": "000000001"}' },
      { name: 'a/1.seg.ppm', bytes: picture(2) },
      { name: 'a/1.cls', bytes: '3' },
      { name: 'a/1.json', bytes: 'no json' },
      { name: 'a/2.txt', bytes: 'no picture' },
      { name: 'a/3.jpg', bytes: 'damaged' },
      { name: 'a/.ppm', bytes: picture(3) },
    ]);
    expect((await samplesOf('x.tar', tar)).map(shown)).toEqual([
      ['000000001', './a/0.ppm', picture(1).length],
      ['a/1', 'a/1.seg.ppm', picture(2).length],
      ['a/2', 'a/2', 'MEDIA_NOT_FOUND'],
      ['a/3', 'a/3.jpg', 7],
      [undefined, 'a/.ppm', 'SHARD_KEY_MISSING'],
    ]);
    const zipped = await samplesOf('y.tar.gz', gzipSync(tar));
    expect(zipped).toHaveLength(5);
    await expect(samplesOf('z.tgz', gzipSync(shardOf('z', 90, 40)).subarray(0, 900))).rejects.toMatchObject({
      code: 'SHARD_DAMAGED',
    });
  });

  it('of a tar that are too large fail alone', async () => {
    const [small, big] = await samplesOf('x.tar', shardOf('x', 2), 150);
    expect(shown(small!)[2]).toBe('MEDIA_TOO_LARGE');
    expect(big!.source.error?.message).toMatch(/more than the limit of 150/);
  });

  it('of JSONL are opened relative to the shard', async () => {
    await writeFile(join(folder, 'p.ppm'), picture(4));
    const lines = [
      { key: 'k', path: 'p.ppm' },
      { path: join(folder, 'p.ppm') },
      { id: 7, image_path: 'none.ppm' },
      { key: '', path: 'p.ppm' },
      { key: 'u', url: 'https://example.com/a.jpg' },
    ];
    const found = await samplesOf('x.jsonl', lines.map((line) => JSON.stringify(line)).join('\n'));
    expect(found.map(shown)).toEqual([
      ['k', 'p.ppm', picture(4).length],
      [join(folder, 'p.ppm'), join(folder, 'p.ppm'), picture(4).length],
      ['7', 'none.ppm', 'MEDIA_NOT_FOUND'],
      [undefined, 'p.ppm', 'SHARD_KEY_MISSING'],
      ['u', 'https://example.com/a.jpg', 'MEDIA_URL_FORBIDDEN'],
    ]);
    expect(found[0]!.source.identity).toEqual({ bytes: picture(4).length });
    expect(found[3]!.source.error?.message).toMatch(/Line 4 of .*x.jsonl has no key/);
    await expect(samplesOf('y.jsonl', '{"path": "a"}\n[1]\n')).rejects.toThrow(/Line 2 of .* is not a JSON object/);
    await expect(samplesOf('y.jsonl', '{"key": "a"}\n')).rejects.toThrow(/Line 1 of .* names no picture or clip/);
  });

  it('of Parquet come from bytes or names, with the key column if there is one', async () => {
    const bytes = Array.from({ length: 150 }, (_, at) => new Uint8Array(picture(at)));
    const key = bytes.map((_, at) => (at === 149 ? '' : `k${at}`));
    const table = parquetWriteBuffer({
      columnData: [
        { name: 'key', data: key, type: 'STRING' },
        { name: 'jpg', data: bytes, type: 'BYTE_ARRAY' },
      ],
      rowGroupSize: 100,
    });
    const found = await samplesOf('x.parquet', new Uint8Array(table));
    expect(found.map((one) => shown(one)[0])).toEqual([...key.slice(0, 149), undefined]);
    expect(found[70]!.source.media).toEqual(bytes[70]);
    expect(found[149]!.source.error?.message).toMatch(/Row 149 .* has no key/);
    const named = parquetWriteBuffer({ columnData: [{ name: 'url', data: ['none.ppm', ''], type: 'STRING' }] });
    expect((await samplesOf('y.parquet', new Uint8Array(named))).map(shown)).toEqual([
      ['none.ppm', 'none.ppm', 'MEDIA_NOT_FOUND'],
      ['1', 'y.parquet#1', 'MEDIA_NOT_FOUND'],
    ]);
    const other = parquetWriteBuffer({ columnData: [{ name: 'x', data: [1], type: 'INT32' }] });
    await expect(samplesOf('z.parquet', new Uint8Array(other))).rejects.toThrow(/has no column of pictures \(x\)/);
    await expect(samplesOf('z.parquet', new Uint8Array(table).subarray(0, 900))).rejects.toMatchObject({
      code: 'SHARD_DAMAGED',
    });
  });
});

describe('blocks', () => {
  async function* pending(sizes: readonly number[]): AsyncGenerator<PendingSample> {
    for (const bytes of sizes) yield { bytes, open: () => Promise.reject(new Error('not opened')) };
  }
  const sizesOf = async (sizes: number[], most: number, limit?: number): Promise<number[]> =>
    (await collect(inBlocks(pending(sizes), most, limit))).map((block) => block.length);

  it('are bounded by a number and by bytes, and end at the limit', async () => {
    expect(await sizesOf([1, 1, 1, 1, 1], 2)).toEqual([2, 2, 1]);
    expect(await sizesOf([1, 1 << 25, 1, 1, 1], 3)).toEqual([2, 3]);
    expect(await sizesOf([1, 1, 1, 1, 1], 2, 3)).toEqual([2, 1]);
    expect(await sizesOf([], 2)).toEqual([]);
  });
});
