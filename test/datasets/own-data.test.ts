import { copyFile, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openOwnRatings, type OwnData } from '../../src/datasets/own-data.js';

const FIXTURES = fileURLToPath(new URL('../fixtures/', import.meta.url));
const TWO = [
  ['img1.jpg', 12.5],
  ['img2.jpg', 91],
];

let folder: string;
beforeEach(async () => (folder = await mkdtemp(join(tmpdir(), 'qalign-own-'))));
afterEach(() => rm(folder, { recursive: true, force: true }));

/** Options for tables, which are not folders. */
const noFolder = (): AsyncIterable<never> => expect.fail('a folder was listed');

interface Row {
  readonly name: string;
  readonly mos: number;
  readonly row: number;
}

async function ratings(name: string, content: string | Buffer, own: OwnData = {}): Promise<Row[]> {
  const path = join(folder, name);
  await writeFile(path, content);
  return ratingsOf(path, own);
}

async function ratingsOf(path: string, own: OwnData = {}): Promise<Row[]> {
  const { scan } = await openOwnRatings(path, { imageColumn: 'file', scoreColumn: 'mos', ...own }, noFolder);
  const found: Row[] = [];
  for await (const batch of scan()) found.push(...batch.map(({ name: file, mos, row }) => ({ name: file, mos, row })));
  return found;
}
const pairs = (rows: readonly Row[]): unknown[] => rows.map(({ name, mos }) => [name, mos]);

describe('rows longer than the header', () => {
  it.each([
    ['a decimal comma', 'file,mos\na.jpg,1\nb.jpg,2,5\n', 't.csv:3'],
    ['row names of R', 'file\tmos\n1\ta.jpg\t2\n', 't.tsv:2'],
    ['a name with a blank', 'file mos\nmy photo.jpg 3\n', 't.txt:2'],
    ['quoted cells', 'file,mos\n"a.jpg","1","5"\n', 't.csv:2'],
  ])('are refused: %s', async (_what, text, place) => {
    const name = place.split(':')[0] as string;
    await expect(ratings(name, text)).rejects.toThrow(`${place}: the row has 3 columns and the header 2`);
  });

  it('may end in empty cells', async () => {
    expect(pairs(await ratings('t.csv', 'file,mos\nimg1.jpg,12.5,\nimg2.jpg,91,,\n'))).toEqual(TWO);
    expect(pairs(await ratings('t.tsv', 'file\tmos\nimg1.jpg\t12.5\t\t\nimg2.jpg\t91\n'))).toEqual(TWO);
  });
});

describe('empty rows', () => {
  it('that Excel writes into CSV are skipped', async () => {
    const path = join(folder, 'excel.csv');
    await copyFile(join(FIXTURES, 'cases/excel_blank_rows.csv'), path);
    expect(pairs(await ratingsOf(path))).toEqual(TWO);
  });

  it.each<[string, string, OwnData?]>([
    ['t.csv', '\n ,\t\nfile,mos\n,\nimg1.jpg,12.5\n , \n"",""\n"\u00a0", \n\u00a0,\u00a0\nimg2.jpg,91\n,,,\n,'],
    ['t.csv', ';;\nfile;mos;\nimg1.jpg;12.5;\n;;\nimg2.jpg;91;\n;;\n', { delimiter: ';' }],
    ['t.tsv', 'file\tmos\n\t\nimg1.jpg\t12.5\n \t \nimg2.jpg\t91\n\t\n'],
    ['t.txt', 'file mos\n  \nimg1.jpg 12.5\n \u00a0 \nimg2.jpg 91\n\n'],
    [
      't.json',
      JSON.stringify([
        { file: '', mos: null },
        { file: 'img1.jpg', mos: 12.5 },
        {},
        { file: 'img2.jpg', mos: 91 },
        { file: ' \u00a0', mos: '' },
      ]),
    ],
    ['t.jsonl', '{"file":"img1.jpg","mos":12.5}\n{"file":null,"mos":null}\n\n{"file":"img2.jpg","mos":91}\n{}\n'],
  ])('are passed over in %s', async (name, content, own) => {
    expect(pairs(await ratings(name, content, own))).toEqual(TWO);
  });

  it.each(['blank_rows.xlsx', 'blank_rows.parquet', 'blank_rows.mat'])('are passed over in %s', async (name) => {
    expect(pairs(await ratingsOf(join(FIXTURES, 'datasets/formats', name)))).toEqual(TWO);
  });

  it('are not rows in which only the name is empty', async () => {
    await expect(ratings('t.csv', 'file,mos\nimg1.jpg,12.5\n,4\n')).rejects.toThrow(/t\.csv:3: the name .* is empty/);
    await expect(ratings('t.csv', 'file,mos\nimg1.jpg,12.5\nimg2.jpg,\n')).rejects.toThrow(
      /t\.csv:3: the score is empty/,
    );
  });
});

describe('a first line that states the separator', () => {
  it.each([
    ['sep=;', ';'],
    ['sep=,', ','],
    ['SEP=|', '|'],
    ['"sep=;"', ';'],
    ['sep=\t', '\t'],
    ['sep=\\t', '\t'],
    ['sep=^', '^'],
    ['sep=;;;', ';'],
  ])('%j is used with any file name, and rows keep their numbers', async (line, separator) => {
    const text = [line, `file${separator}mos`, `img1.jpg${separator}12.5`, separator, `img2.jpg${separator}91`];
    for (const name of ['t.csv', 't.tsv']) {
      const found = await ratings(name, text.join('\r\n'));
      expect(found).toEqual([
        { name: 'img1.jpg', mos: 12.5, row: 3 },
        { name: 'img2.jpg', mos: 91, row: 5 },
      ]);
    }
  });

  it('counts as a row in messages', async () => {
    await expect(ratings('t.csv', 'sep=;\nfile;mos\na.jpg;1\nb.jpg;good\n')).rejects.toThrow(/t\.csv:4: the score/);
    await expect(ratings('t.csv', 'sep=;\nfile,mos\na.jpg,1\n')).rejects.toThrow(
      /the expected separator is ";", but the file seems to use ","/,
    );
  });
});

describe('the Unicode text of Excel', () => {
  const lines = ['file\tmos', 'my img 1.jpg\t12.5', '\t', 'ä漢.jpg\t91'].join('\r\n');
  const expected = [
    ['my img 1.jpg', 12.5],
    ['ä漢.jpg', 91],
  ];
  it.each(['t.txt', 't.tsv'])('is read as %s: UTF-16 with a byte order mark, separated by tabs', async (name) => {
    expect(pairs(await ratings(name, Buffer.from(`\ufeff${lines}`, 'utf16le')))).toEqual(expected);
    expect(pairs(await ratings(name, Buffer.from(`\ufeff${lines}`, 'utf16le').swap16()))).toEqual(expected);
    expect(pairs(await ratings(name, `\ufeff${lines}`))).toEqual(expected);
  });

  it('named .csv, gets an error that names its separator', async () => {
    const bytes = Buffer.from(`\ufeff${lines}`, 'utf16le');
    await expect(ratings('t.csv', bytes)).rejects.toThrow(
      /the expected separator is ",", but the file seems to use "\\t"/,
    );
    expect(pairs(await ratings('t.csv', bytes, { delimiter: '\t' }))).toEqual(expected);
  });

  it('without a byte order mark gets a clear error', async () => {
    await expect(ratings('t.csv', Buffer.from(lines, 'utf16le'))).rejects.toThrow(/UTF-16 without a byte order mark/);
  });

  it('does not change text separated by blanks', async () => {
    expect(pairs(await ratings('t.txt', 'file mos\nimg1.jpg\t12.5\nimg2.jpg   91\n'))).toEqual(TWO);
  });
});
