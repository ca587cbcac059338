import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parquetWriteBuffer } from 'hyparquet-writer';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readJsonRow } from '../../../src/recipes/shards/read/key.js';
import { openShard } from '../../../src/recipes/shards/read/open-shard.js';
import type { Sample } from '../../../src/recipes/shards/read/sample.js';
import { createStores } from '../../../src/recipes/shards/store/open-stores.js';
import { collect, picture, tarOf } from './make-shards.js';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'qalign-keys-'));
  await writeFile(join(folder, 'p.ppm'), picture(4));
});
afterAll(() => rm(folder, { recursive: true }));

async function samplesOf(name: string, bytes: Uint8Array | string): Promise<Sample[]> {
  const path = join(folder, name);
  await writeFile(path, bytes);
  const options = { allowUrls: false, most: 1 << 20 };
  const pending = openShard(path, { bytes: Buffer.from(bytes as string).length }, createStores(), options);
  return Promise.all((await collect(pending)).map((one) => one.open()));
}

/** The key of each sample, or its error. */
const keysOf = (samples: readonly Sample[]): (string | undefined)[] =>
  samples.map(({ key, source }) => key ?? source.error?.message);

const tarWithJson = (texts: readonly string[]): Buffer =>
  tarOf(
    texts.flatMap((bytes, at) => [
      { name: `${at}.ppm`, bytes: picture(at) },
      { name: `${at}.json`, bytes },
    ]),
  );

const parquetOf = (columnData: Parameters<typeof parquetWriteBuffer>[0]['columnData']): Uint8Array =>
  new Uint8Array(parquetWriteBuffer({ columnData }));

describe('a number as a key', () => {
  const CASES: readonly (readonly [string, string | RegExp])[] = [
    ['9007199254740993', '9007199254740993'],
    ['-123456789012345678901234567890', '-123456789012345678901234567890'],
    ['7', '7'],
    ['1.5', '1.5'],
    ['0.12345678901234567890', /has the number 0.12345678901234567890 as its key, which is not exact/],
    ['1e30', /has the number 1e30 as its key, which is not exact/],
  ];

  it('keeps its digits in JSONL and in the JSON of a tar, or the sample has no key', async () => {
    const lines = CASES.map(([id]) => `{"path": "p.ppm", "text": "\\" \\\\", "n": [{"id": 3}], "id": ${id}}`).join(
      '\n',
    );
    const jsonl = keysOf(await samplesOf('n.jsonl', lines));
    const tar = keysOf(await samplesOf('n.tar', tarWithJson(CASES.map(([id]) => `{"text": "\\"9", "key": ${id}}`))));
    for (const keys of [jsonl, tar])
      for (const [at, [, expected]] of CASES.entries())
        if (typeof expected === 'string') expect(keys[at]).toBe(expected);
        else expect(keys[at]).toMatch(expected);
  });

  it('is found behind long texts', () => {
    const text = `{"a": ${JSON.stringify('x"\\'.repeat(2e6))}, "id": 9007199254740993}`;
    expect(readJsonRow(text)?.sourceOf('id')).toBe('9007199254740993');
  });

  it('of a Parquet column of floats is refused where digits were lost', async () => {
    const table = parquetOf([
      { name: 'id', data: [7, 9007199254740994], type: 'DOUBLE' },
      { name: 'jpg', data: [picture(1), picture(2)].map((one) => new Uint8Array(one)), type: 'BYTE_ARRAY' },
    ]);
    const [first, second] = keysOf(await samplesOf('f.parquet', table));
    expect(first).toBe('7');
    expect(second).toMatch(/has the number 9007199254740994 as its key, which is not exact/);
  });
});

describe('a key', () => {
  it('with a line end is an error, also as a name', async () => {
    const jsonl = await samplesOf('l.jsonl', '{"path": "p.ppm", "key": "a\\nb"}\n{"path": "p\\r.ppm"}');
    const tar = await samplesOf('l.tar', tarOf([{ name: 'a\nb.ppm', bytes: picture(1) }]));
    for (const { key, source } of [...jsonl, ...tar]) {
      expect(key).toBeUndefined();
      expect(source.error?.code).toBe('SHARD_KEY_MISSING');
      expect(source.error?.message).toMatch(/has a line end in its key/);
    }
  });

  it('is the uid where there is no key', async () => {
    const uid = '00000000a5cd7ab7a5cd7ab700000000';
    expect(keysOf(await samplesOf('u.jsonl', `{"path": "p.ppm", "uid": "${uid}"}`))).toEqual([uid]);
    const texts = [`{"uid": "${uid}"}`, `{"uid": "${uid}", "key": "000000001"}`, `{"uid": "${uid}", "key": null}`];
    expect(keysOf(await samplesOf('u.tar', tarWithJson(texts)))).toEqual([uid, '000000001', uid]);
    const table = parquetOf([
      { name: 'uid', data: [uid], type: 'STRING' },
      { name: 'image', data: [new Uint8Array(picture(1))], type: 'BYTE_ARRAY' },
    ]);
    expect(keysOf(await samplesOf('u.parquet', table))).toEqual([uid]);
  });

  it('of Parquet bytes without a key column is the path in its own column, else the row', async () => {
    const bytes = { name: 'image', data: [1, 2].map((at) => new Uint8Array(picture(at))), type: 'BYTE_ARRAY' as const };
    const table = parquetOf([bytes, { name: 'path', data: ['a/1.ppm', ''], type: 'STRING' }]);
    const found = await samplesOf('p.parquet', table);
    expect(found.map(({ key, source }) => [key, source.input])).toEqual([
      ['a/1.ppm', 'a/1.ppm'],
      ['1', 'p.parquet#1'],
    ]);
    expect(found[0]!.source.media).toEqual(bytes.data[0]);
  });

  it('of Parquet cannot be bytes', async () => {
    const bytes = { name: 'image', data: [new Uint8Array(picture(1))], type: 'BYTE_ARRAY' as const };
    for (const name of ['key', 'path']) {
      const table = parquetOf([bytes, { name, data: [new Uint8Array([1, 2])], type: 'BYTE_ARRAY' }]);
      await expect(samplesOf('b.parquet', table)).rejects.toMatchObject({
        code: 'SHARD_DAMAGED',
        message: expect.stringContaining(`The column ${name} of `) as string,
      });
    }
  });

  it('is read behind a byte order mark', async () => {
    const mark = '\uFEFF';
    expect(keysOf(await samplesOf('m.jsonl', `${mark}{"path": "p.ppm", "key": "k"}\n`))).toEqual(['k']);
    expect(keysOf(await samplesOf('m.tar', tarWithJson([`${mark}{"key": "k"}`])))).toEqual(['k']);
  });
});
