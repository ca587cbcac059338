import { mkdtemp, mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { QalignError } from '../../../src/base/errors.js';
import { convertDataset, type ConvertOptions } from '../../../src/recipes/data/convert.js';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'qalign-bad-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const OWN = { imageColumn: 'file', scoreColumn: 'mos' };

async function convert(
  name: string,
  content: string | Buffer,
  options: Partial<ConvertOptions> = {},
): Promise<{ error: QalignError | undefined; left: string[]; n: number }> {
  const work = await mkdtemp(join(folder, 'case-'));
  await writeFile(join(work, name), content);
  const out = join(work, 'out');
  try {
    const { manifest } = await convertDataset({ dataset: join(work, name), own: OWN, out, ...options });
    return { error: undefined, left: await readdir(out), n: manifest.n };
  } catch (error) {
    if (!(error instanceof QalignError)) throw error;
    // not even an empty or partial file
    return { error, left: await readdir(out).catch(() => []), n: 0 };
  }
}

const rows = 'a.png,1\nb.png,2\nc.png,3\n';
const table = `file,mos\n${rows}`;
const many = Array.from({ length: 10 ** 6 }, (_, i) => i).join(',');

describe('invalid input ends in an error with its position, and leaves no files', () => {
  it.each<[string, string, string | Buffer, string, RegExp, Partial<ConvertOptions>?]>([
    ['a score that is no number', 't.csv', `${table}d.png,good\n`, 'DATASET_VALUE', /t\.csv:5: the score is "good"/],
    ['NaN', 't.csv', `${table}d.png,NaN\n`, 'DATASET_VALUE', /t\.csv:5: the score is "NaN"/],
    ['infinity', 't.csv', `${table}d.png,Infinity\n`, 'DATASET_VALUE', /t\.csv:5/],
    ['an empty score', 't.csv', `${table}d.png,\n`, 'DATASET_VALUE', /t\.csv:5: the score is empty/],
    ['hexadecimal', 't.csv', `${table}d.png,0x10\n`, 'DATASET_VALUE', /t\.csv:5: the score is "0x10"/],
    [
      'a decimal comma',
      't.csv',
      'file;mos\na.png;1,5\n',
      'DATASET_VALUE',
      /t\.csv:2: the score is "1,5"/,
      { own: { ...OWN, delimiter: ';' } },
    ],
    [
      'two columns of one name',
      't.csv',
      'file,mos,mos\na.png,1,2\n',
      'DATASET_COLUMNS',
      /columns 2 and 3 are both named "mos"/,
    ],
    ['an empty name', 't.csv', `${table},4\n`, 'DATASET_VALUE', /t\.csv:5: the name of the picture is empty/],
    [
      'a score out of range',
      't.csv',
      `${table}d.png,7\n`,
      'DATASET_VALUE',
      /t\.csv:5: the score 7 of d\.png is outside the scale \[1, 5\]/,
      { own: { ...OWN, scale: [1, 5] } },
    ],
    [
      'a missing cell',
      't.csv',
      `${table}d.png\n`,
      'DATASET_COLUMNS',
      /t\.csv:5: the row has 1 columns, but the score must be in column 2/,
    ],
    [
      'a missing column',
      't.csv',
      `name,mos\n${rows}`,
      'DATASET_COLUMNS',
      /t\.csv:1: there is no column "file"; the columns are name, mos/,
    ],
    [
      'another separator',
      't.csv',
      table.replaceAll(',', ';'),
      'DATASET_COLUMNS',
      /t\.csv:1: .*the expected separator is ","/,
    ],
    [
      'a duplicated row',
      't.csv',
      `${table}a.png,4\n`,
      'DATASET_DUPLICATE',
      /t\.csv:5: a\.png is rated twice \(first at t\.csv:2\)/,
    ],
    [
      'a negative spread',
      't.csv',
      'file,mos,std\na.png,1,.1\nb.png,2,-1\n',
      'DATASET_VALUE',
      /t\.csv:3: the standard deviation is -1/,
      { own: { ...OWN, stdColumn: 'std' } },
    ],
    ['an empty file', 't.csv', '', 'DATASET_EMPTY', /t\.csv is empty/],
    ['a header alone', 't.csv', 'file,mos\n', 'DATASET_EMPTY', /no ratings/],
    ['equal scores', 't.csv', 'file,mos\na.png,2\nb.png,2\n', 'DATASET_VALUE', /cannot be divided into levels/],
    [
      'Latin-1 among UTF-8',
      't.csv',
      Buffer.concat([Buffer.from(table), Buffer.from([0xe4, 0x2e, 0x70, 0x6e, 0x67, 0x2c, 0x34, 0x0a])]),
      'DATASET_UNREADABLE',
      /t\.csv:\d+ .*not UTF-8/,
    ],
    ['zero bytes', 't.csv', Buffer.from(table, 'utf16le'), 'DATASET_UNREADABLE', /zero bytes/],
    ['an unclosed quote', 't.csv', `${table}"d.png,4\n`, 'DATASET_UNREADABLE', /t\.csv:5: a quoted cell starts here/],
    ['a million columns', 't.csv', `${many}\n${many}\n`, 'DATASET_(COLUMNS|UNREADABLE)', /t\.csv:1/],
    [
      'one endless line',
      't.csv',
      Buffer.alloc(6 << 20, 'a'),
      'DATASET_UNREADABLE',
      /t\.csv:1: the line is longer than/,
    ],
    [
      'a picture that is not there',
      't.csv',
      table,
      'DATASET_MEDIA_MISSING',
      /t\.csv:2: a\.png was not found in/,
      { media: 'test/fixtures/pictures' },
    ],
    ['a media folder that is none', 't.csv', table, 'DATASET_MEDIA_MISSING', /not a folder/, { media: '/dev/null' }],
    [
      'a split that leads out of the folder',
      't.csv',
      'file,mos,s\na.png,1,../../x\nb.png,2,y\n',
      'DATASET_VALUE',
      /"\.\.\/\.\.\/x" is not a valid file name/,
      { own: { ...OWN, splitColumn: 's' } },
    ],
    ['a split that is not there', 't.csv', table, 'DATASET_EMPTY', /no split "dev"/, { split: 'dev' }],
    [
      'soft labels without a spread',
      't.csv',
      table,
      'DATASET_VALUE',
      /t\.csv:2: soft labels need the standard deviation/,
      { softLabels: 'exact' },
    ],
    ['one level', 't.csv', table, 'CONFIG_INVALID', /at least two different words/, { levels: ['good'] }],
    ['columns that nobody named', 't.csv', table, 'USAGE', /--image-column/, { own: {} }],
    ['an unknown kind of file', 't.doc', table, 'DATASET_UNREADABLE', /the extension of a table \(\.csv/],
    ['broken JSON', 't.json', '[{"file": "a.png", ', 'DATASET_UNREADABLE', /t\.json: the text is not valid JSON/],
    [
      'Latin-1 in JSON',
      't.json',
      Buffer.from('[{"file": "a.png", "mos": 1},\n{"file": "\xe4.png", "mos": 2}]', 'latin1'),
      'DATASET_UNREADABLE',
      /t\.json:2: the text is not UTF-8/,
    ],
    ['JSON that is no list', 't.json', '{"file": "a.png"}', 'DATASET_UNREADABLE', /expected a list of objects/],
    [
      'a broken line of JSONL',
      't.jsonl',
      '{"file": "a.png", "mos": 1}\nnonsense\n',
      'DATASET_UNREADABLE',
      /t\.jsonl:2/,
    ],
    ['a workbook that is none', 't.xlsx', 'PK no', 'DATASET_UNREADABLE', /t\.xlsx/],
    ['Parquet that is none', 't.parquet', 'PAR1 no', 'DATASET_UNREADABLE', /t\.parquet/],
    ['a MAT-file that is none', 't.mat', 'MATLAB no', 'DATASET_UNREADABLE', /t\.mat/],
    ['a truncated MAT-file of version 7.3', 't.mat', 'MATLAB 7.3 MAT-file', 'DATASET_UNREADABLE', /t\.mat/],
  ])('%s', async (_, name, content, code, message, options) => {
    const { error, left } = await convert(name, content, options);
    expect(error?.code).toMatch(new RegExp(`^${code}$`));
    expect(error?.message).toMatch(message);
    expect(left).toEqual([]);
  });

  it('JSON in UTF-16 with a byte order mark is read', async () => {
    expect(
      await convert(
        't.json',
        Buffer.from('\ufeff[{"file": "ä.png", "mos": 1}, {"file": "b.png", "mos": 2}]', 'utf16le'),
      ),
    ).toMatchObject({ error: undefined, n: 2 });
  });

  it('a directory instead of a file, as input or output', async () => {
    const work = await mkdtemp(join(folder, 'case-'));
    await mkdir(join(work, 'dir.csv'));
    await expect(
      convertDataset({ dataset: join(work, 'dir.csv'), own: OWN, out: join(work, 'out') }),
    ).rejects.toMatchObject({ code: 'DATASET_EMPTY' });
    await expect(
      convertDataset({ dataset: 'koniq10k', labels: join(work, 'none'), out: join(work, 'out') }),
    ).rejects.toMatchObject({ code: 'DATASET_NOT_FOUND' });
    await mkdir(join(work, 'koniq10k_distributions_sets.csv'));
    await expect(convertDataset({ dataset: 'koniq10k', labels: work, out: join(work, 'out') })).rejects.toMatchObject({
      code: 'DATASET_UNREADABLE',
    });
    await mkdir(join(work, 'taken.jsonl'));
    await writeFile(join(work, 't.csv'), table);
    await expect(
      convertDataset({ dataset: join(work, 't.csv'), own: OWN, out: join(work, 'taken.jsonl') }),
    ).rejects.toMatchObject({ code: 'OUTPUT_UNWRITABLE' });
    expect((await readdir(work)).filter((name) => name.includes('part'))).toEqual([]);
  });

  it('a file of another data set under the expected name, and a renamed one', async () => {
    const work = await mkdtemp(join(folder, 'case-'));
    const out = join(work, 'out');
    await writeFile(join(work, 'kadid10k_label.txt'), 'clip0001.mp4, 3.2\n');
    await expect(convertDataset({ dataset: 'kadid10k', labels: work, out })).rejects.toThrow(
      /kadid10k_label\.txt:1: "clip0001\.mp4" does not match the names of this data set/,
    );
    await writeFile(join(work, 'mine.txt'), 'I01_01_01.png, 3.2\nI01_01_02.png, 1.2\n');
    await expect(convertDataset({ dataset: 'kadid10k', labels: join(work, 'mine.txt'), out })).rejects.toThrow(
      /mine\.txt does not have the name of a label file of KADID-10k; .*--as/,
    );
    expect(
      (await convertDataset({ dataset: 'kadid10k', labels: join(work, 'mine.txt'), as: 'kadid10k_label.txt', out }))
        .manifest.n,
    ).toBe(2);
    await expect(convertDataset({ dataset: 'kadid', labels: tmpdir(), out })).rejects.toThrow(
      /no label files of KADID-10k; expected dmos\.csv/,
    );
    await expect(convertDataset({ dataset: 'kadd10k', labels: work, out })).rejects.toThrow(/did you mean "kadid10k"/);
  });
});

describe('unusual but valid input is read', () => {
  it.each<[string, string | Buffer]>([
    ['a byte order mark', `\ufeff${table}`],
    ['CRLF', table.replaceAll('\n', '\r\n')],
    ['CR', table.replaceAll('\n', '\r')],
    ['UTF-16 with its mark', Buffer.from(`\ufeff${table}`, 'utf16le')],
    ['no line end at the end', table.trimEnd()],
    ['blank lines and blanks', 'file , mos\n\n a.png , 1\nb.png,2 \n\nc.png,3\n\n'],
    ['quotes with commas and line ends', 'file,mos,say\n"a,1.png",1,"two\nlines"\nb.png,2,""\nc.png,"3",x\n'],
  ])('%s', async (_, content) => {
    const { error, n, left } = await convert('t.csv', content);
    expect(error?.message).toBeUndefined();
    expect(n).toBe(3);
    expect(left.sort()).toEqual(['all.jsonl', 'dataset.json']);
  });
});
