import { copyFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { DatasetRecord } from '../../../bridge/protocol/record.js';
import {
  checkDataset,
  convertDataset,
  reportDataset,
  reproduce,
  sampleRecords,
  splitRecords,
  writeReport,
} from '../../../src/index.js';
import { cli } from '../../cli/terminal/terminal-double.js';

const PICTURE = fileURLToPath(new URL('../../fixtures/pictures/pristine.jpg', import.meta.url));
let folder: string;
const at = (name: string): string => join(folder, name);
const own = { imageColumn: 'file', scoreColumn: 'mos', splitColumn: 'split', groupColumn: 'ref' };
const read = async (path: string): Promise<DatasetRecord[]> =>
  (await readFile(path, 'utf8'))
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as DatasetRecord);

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'qalign-tools-'));
  const noise = (seed: number): Buffer =>
    Buffer.from(
      Array.from({ length: 80 * 80 * 3 }, (_, i) =>
        Math.floor(128 + 120 * Math.sin(((i / 3) % 80) * 0.1 * seed + Math.floor(i / 240) * 0.07 * (seed + 2))),
      ),
    );
  const save = (name: string, seed: number): Promise<unknown> =>
    sharp(noise(seed), { raw: { width: 80, height: 80, channels: 3 } })
      .png()
      .toFile(at(name));
  await Promise.all([save('a.png', 1), save('b.png', 5), save('c.png', 9)]);
  await copyFile(PICTURE, at('photo.jpg'));
  await copyFile(PICTURE, at('copy.jpg'));
  await sharp(PICTURE).resize(300).jpeg({ quality: 50 }).toFile(at('smaller.jpg'));
  await sharp({ create: { width: 400, height: 40, channels: 3, background: 'red' } })
    .png()
    .toFile(at('A.jpg'));
  await writeFile(at('broken.png'), 'no picture');
  await writeFile(
    at('t.csv'),
    'file,mos,split,ref\na.png,1,train,r1\nb.png,2,train,r2\nphoto.jpg,4,train,r3\nc.png,3,test,r2\ncopy.jpg,4.5,test,r4\nsmaller.jpg,2.6,test,r5\nA.jpg,5,test,\nbroken.png,2,test,r7\ngone.png,2,test,r8\n',
  );
  await convertDataset({ dataset: at('t.csv'), own, media: folder, missing: 'keep', out: at('out') });
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe('checkDataset', () => {
  it('reports pairs with equal bytes, similar looks, one reference or one base name, and files that were not compared', async () => {
    const result = await checkDataset({ records: [at('out/train.jsonl'), at('out/test.jsonl')] });
    expect(result.sides).toEqual([
      { side: 'train', records: 3 },
      { side: 'test', records: 6 },
    ]);
    expect(result.leaks.map(({ kind, a, b }) => [kind, a.id, b.id])).toEqual([
      ['exact', 'photo.jpg', 'copy.jpg'],
      ['perceptual', 'photo.jpg', 'smaller.jpg'],
      ['reference', 'b.png', 'c.png'],
      ['base_name', 'a.png', 'A.jpg'],
    ]);
    expect(result.not_compared.map(({ id, code }) => [id, code])).toEqual([
      ['broken.png', 'MEDIA_UNSUPPORTED'],
      ['gone.png', 'MEDIA_NOT_FOUND'],
    ]);
    await expect(checkDataset({ records: [at('out/train.jsonl')] })).rejects.toThrow(/one side \(train\)/);
  });

  it('compares data sets, where each file without splits is one side', async () => {
    for (const [name, rows] of [
      ['one', 'photo.jpg,1\na.png,3\n'],
      ['two', 'copy.jpg,1\nb.png,3\n'],
    ] as const) {
      await writeFile(at(`${name}.csv`), `file,mos\n${rows}`);
      await convertDataset({
        dataset: at(`${name}.csv`),
        own: { imageColumn: 'file', scoreColumn: 'mos' },
        media: folder,
        out: at(`${name}.jsonl`),
      });
    }
    const { leaks } = await checkDataset({ records: [at('one.jsonl'), at('two.jsonl')], kinds: ['exact'] });
    expect(leaks).toMatchObject([
      { a: { dataset: 'one', side: 'one.jsonl' }, b: { dataset: 'two', side: 'two.jsonl' } },
    ]);
  });
});

describe('reportDataset', () => {
  it('counts records, and errors of the media', async () => {
    const result = await reportDataset({ records: [at('out/train.jsonl'), at('out/test.jsonl')], media: true });
    const { report, html } = result;
    expect(report).toMatchObject({
      n: 9,
      title: 't',
      licence: 'not stated',
      splits: {
        train: { n: 3, range: [1, 5], levels: { excellent: 0, good: 1, fair: 0, poor: 1, bad: 1 }, std_coverage: 0 },
        test: { n: 6, on_edge: { count: 1, examples: ['smaller.jpg'] } },
      },
    });
    expect(report.media).toMatchObject({
      checked: 9,
      missing: [{ id: 'gone.png' }],
      corrupt: [{ id: 'broken.png' }],
      duplicated: [['photo.jpg', 'copy.jpg']],
      odd_shape: [{ id: 'A.jpg', width: 400, height: 40 }],
    });
    expect(html).not.toMatch(/<script|src="http|href="http|NaN|undefined/);
    expect(html.match(/<svg/g)).toHaveLength(4);
    const files = await writeReport(result, at('page.html'));
    expect(files).toEqual([at('page.html'), at('page.json')]);
    expect(JSON.parse(await readFile(at('page.json'), 'utf8'))).toEqual(JSON.parse(JSON.stringify(report)));
    await splitRecords({ records: at('one.jsonl'), parts: { train: 1, dev: 1 }, out: folder });
    await copyFile(at('one.dataset.json'), at('dataset.json'));
    expect((await reportDataset({ records: [at('train.jsonl'), at('dev.jsonl')] })).report.splits).toMatchObject({
      train: { n: 1, n_all: null, range: [1, 3] },
      dev: { n: 1, range: [1, 3] },
    });
    await rm(at('dataset.json'));
    await writeFile(at('bare.jsonl'), await readFile(at('out/train.jsonl')));
    expect((await reportDataset({ records: [at('bare.jsonl')] })).report).toMatchObject({
      licence: null,
      media: null,
      splits: { train: { range: null, on_edge: null } },
      notes: [expect.stringMatching(/no dataset\.json/)],
    });
  });

  it('shows pictures of each level, without folders of this machine', async () => {
    const { html } = await reportDataset({ records: [at('out/test.jsonl')], media: true });
    expect(html.match(/<img src="data:image\/jpeg/g)).toHaveLength(4); // of six, one is damaged and one missing
    expect(html.replaceAll(/"data:[^"]*"/g, '').includes(folder)).toBe(false);
    expect((await cli('dataset', 'report', at('out/test.jsonl'), '--media', '-', '--json')).code).toBe(0);
  });

  it('reports once that all media are missing, and ends with exit code 1', async () => {
    const { code, said } = await cli('dataset', 'report', at('out/test.jsonl'), '--media', at('no/where'), '--json');
    expect(code).toBe(1);
    expect(said).toHaveLength(2);
    expect(said[1]).toMatch(/^qalign: All 6 media files are missing, for example that of c\.png: /);
    expect((await cli('dataset', 'report', at('out/test.jsonl'), '--json')).code).toBe(0);
  });

  it('refuses invalid records, with the line', async () => {
    await writeFile(
      at('wrong.jsonl'),
      `${(await readFile(at('out/train.jsonl'), 'utf8')).split('\n')[0]}\n{"id": 3}\n`,
    );
    await expect(reportDataset({ records: [at('wrong.jsonl')] })).rejects.toMatchObject({
      code: 'DATASET_VALUE',
      message: expect.stringMatching(/wrong\.jsonl:2 is not a valid record/) as string,
    });
    await expect(reportDataset({ records: [at('t.csv')] })).rejects.toMatchObject({ code: 'DATASET_UNREADABLE' });
  });
});

describe('splitRecords and sampleRecords', () => {
  it('keep groups together, and have valid media paths in another folder', async () => {
    await expect(
      splitRecords({ records: at('out/test.jsonl'), parts: { a: 0.5, b: 0.5 }, out: at('never') }),
    ).rejects.toThrow(/for all records or for none/);
    const lines = (await read(at('out/test.jsonl'))).map((record) =>
      JSON.stringify({ ...record, group: record.group ?? 'r6', media: record.media.replace('../', '') }),
    );
    await writeFile(at('grouped.jsonl'), lines.join('\n'));
    const { files, by } = await splitRecords({
      records: at('grouped.jsonl'),
      parts: { big: 4, small: 'rest' },
      seed: 2,
      out: at('deep/er'),
    });
    expect(by).toBe('group');
    expect(files.map(({ records }) => records).sort()).toEqual([2, 4]);
    const big = await read(at('deep/er/big.jsonl'));
    expect(big.every(({ split, media }) => split === 'big' && media.startsWith('../../'))).toBe(true);
  });

  it('mix by weights with unique ids, and count', async () => {
    const sources = [at('one.jsonl'), at('two.jsonl')];
    const { inputs, files } = await sampleRecords({
      records: sources,
      weights: [2.5, 0.5],
      seed: 1,
      out: at('mix.jsonl'),
    });
    expect(inputs.map(({ of, taken }) => [of, taken])).toEqual([
      [2, 5],
      [2, 1],
    ]);
    expect(files[0]!.records).toBe(6);
    const ids = (await read(at('mix.jsonl'))).map(({ id }) => id);
    expect(new Set(ids).size).toBe(6);
    expect(ids.slice(0, 4)).toEqual(['one/photo.jpg', 'one/a.png', 'one/photo.jpg#2', 'one/a.png#2']);
    expect((await sampleRecords({ records: sources, count: 3, out: at('three.jsonl') })).files[0]!.records).toBe(3);
    await expect(
      sampleRecords({ records: [at('one.jsonl'), at('one.jsonl')], out: at('twice.jsonl') }),
    ).rejects.toMatchObject({ code: 'DATASET_DUPLICATE' });
    await expect(sampleRecords({ records: sources, weights: [1], out: at('x.jsonl') })).rejects.toThrow(
      /1 weights and 2 files/,
    );
    await expect(sampleRecords({ records: sources, count: 9, out: at('x.jsonl') })).rejects.toThrow(/there are only 4/);
    await expect(readFile(at('twice.jsonl'))).rejects.toThrow(/ENOENT/);
  });
});

describe('reproduce', () => {
  it('computes from existing data and reports what is missing', async () => {
    const rows = Array.from(
      { length: 2000 },
      (_, i) =>
        `${i + 1} ${9000 - i} ${Array.from({ length: 10 }, (__, k) => Math.max(0, 50 - Math.abs(k + 1 - (2 + (i % 700) / 100)) * 12) | 0).join(' ')} 0 0 1`,
    );
    await writeFile(at('AVA.txt'), `${rows.join('\n')}\n`);
    const { rows: found, notes } = await reproduce('table2', { labels: folder });
    expect(found).toHaveLength(1);
    expect(found[0]).toMatchObject({ dataset: 'ava', paper_srcc: 0.92, paper_plcc: 0.93, n_all: 2000 });
    expect(found[0]!['srcc']).toBeGreaterThan(0.9);
    expect(notes.filter((note) => note.includes('is left out'))).toHaveLength(4);
    await expect(reproduce('table22', {})).rejects.toThrow(/did you mean "table2"/);
    await expect(reproduce('table2', {})).rejects.toThrow(/requires --labels/);
  });
});
