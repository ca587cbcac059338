import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { DatasetRecord } from '../../bridge/protocol/record.js';
import { listDatasetSpecs } from '../../src/config/datasets.js';
import { convertRatings, type ConversionSummary, type SplitSummary } from '../../src/datasets/convert.js';
import { llavaElement } from '../../src/datasets/llava.js';
import type { Rating } from '../../src/datasets/rating.js';
import { findLabels } from '../../src/datasets/registry.js';
import {
  openSource,
  planConversion,
  type ConversionChoices,
  type DatasetSource,
} from '../../src/recipes/data/source.js';
import { plcc } from '../../src/scoring/statistics/correlation.js';
import { reproduce } from '../../src/recipes/reproduce/index.js';
import { LABELS, notRun, OFFICIAL } from './shared-files.js';

interface Converted {
  readonly summary: ConversionSummary;
  readonly found: Map<string, { record: DatasetRecord; rating: Rating; id: 'name' | 'media' }>;
}

/** Records by the media path of the published files. */
async function convert(source: DatasetSource, choices: ConversionChoices = {}): Promise<Converted> {
  const opened = await openSource(source);
  const plan = await planConversion(opened, { softLabels: 'none', ...choices });
  const found: Converted['found'] = new Map();
  const summary = await convertRatings(
    opened.scan,
    { ...plan, mediaOf: ({ name }) => `${opened.spec.media}/${name}` },
    (record, rating) => void found.set(record.media, { record, rating, id: opened.spec.id }),
  );
  return { summary, found };
}

interface Official {
  readonly id: string;
  readonly image: string;
  readonly conversations: readonly [{ value: string }, { value: string }];
  readonly gt_score?: number;
}
const official = (file: string): { rows: Official[]; text: string } => {
  const text = readFileSync(join(OFFICIAL, file), 'utf8').replaceAll('\r\n', '\n');
  return { rows: JSON.parse(text) as Official[], text };
};

/** KADID training rows whose answers are words of no level, or of another one: the end of the authors' file. */
const CORRUPT_KADID = [
  'I65_21_02',
  'I65_21_03',
  'I65_21_04',
  'I65_21_05',
  'I65_22_01',
  'I65_22_02',
  'I65_22_03',
  'I65_22_04',
  'I65_22_05',
  'I65_23_01',
  'I65_23_02',
  'I65_23_03',
  'I65_23_04',
  'I65_24_01',
  'I65_24_02',
  'I65_24_03',
  'I65_24_04',
  'I65_24_05',
  'I65_25_02',
  'I65_25_03',
  'I65_25_04',
  'I65_25_05',
];

describe.skipIf(notRun('comparisons with the files of the authors'))('the official preset, row by row', () => {
  it.each([
    ['training_sft/train_koniq.json', 'koniq10k', 'train', [], true],
    ['test_jsons/test_koniq.json', 'koniq10k', 'test', [], true],
    ['training_sft/train_koniq_20percent.json', 'koniq10k', undefined, [], false],
    ['training_sft/train_kadid.json', 'kadid10k', 'train', CORRUPT_KADID, true],
    ['test_jsons/test_kadid.json', 'kadid10k', 'test', [], true],
    ['training_sft/train_spaq.json', 'spaq', undefined, [], false],
    ['test_jsons/test_spaq.json', 'spaq', undefined, [], false],
    ['training_sft/train_spaq_20percent.json', 'spaq', undefined, [], false],
    ['test_jsons/test_lsvq.json', 'lsvq', 'test', [], true],
    ['test_jsons/test_lsvq_1080p.json', 'lsvq', '1080p', [], true],
    ['ft/livec/train_split_1.json', 'livec', undefined, [], false],
    ['ft/livec/test_split_1.json', 'livec', undefined, [], false],
    ['ft/maxwell/train_split_1.json', 'maxwell', 'train', [], true],
  ] as const)(
    '%s: ids, levels, and the bytes of its rows where it is laid out as training files are',
    async (file, dataset, split, corrupt, whole) => {
      const { rows, text } = official(file);
      const { found } = await convert({ dataset, labels: LABELS }, { split });
      const indented = text.startsWith('[\n');
      const elements = new Set(indented ? text.slice(2, -2).split(/,\n(?= {4}\{)/) : []);
      const wrong: string[] = [];
      for (const row of rows) {
        const ours = found.get(row.image);
        expect(ours, row.image).toBeDefined();
        const { record, rating, id } = ours!;
        const element = llavaElement({ ...record, question: row.conversations[0].value }, rating, {
          id,
          gtScore: 'gt_score' in row,
        });
        const { id: label } = JSON.parse(element) as Official;
        expect(label).toBe(row.id);
        if (record.answer !== row.conversations[1].value) wrong.push(rating.name.replace('.png', ''));
        else if (indented) expect(elements.has(element), row.id).toBe(true);
      }
      expect(wrong).toEqual(corrupt);
      if (whole) expect(found.size).toBe(rows.length);
    },
  );

  it('SPAQ: training and test rows together are all converted rows, by the published lists', async () => {
    const { summary } = await convert({
      dataset: 'spaq',
      labels: LABELS,
      splitLists: { test: join(OFFICIAL, 'test_jsons/test_spaq.json') },
    });
    expect(
      Object.fromEntries(Object.entries(summary.splits).map(([split, { n, n_all }]) => [split, [n, n_all]])),
    ).toEqual({ train: [8897, 8901], test: [2224, 2224] });
  });

  it('names the rows in which the authors merged two questions, and writes none of them', async () => {
    const glued = official('training_sft/train_spaq.json').rows.filter(
      ({ conversations: [{ value }] }) => (value.match(/\?|\.\s*\n|image\.|picture\./g) ?? []).length > 1,
    );
    expect(glued).toHaveLength(1263);
    const opened = await openSource({ dataset: 'spaq', labels: LABELS });
    const { questions } = await planConversion(opened, {});
    for (const {
      conversations: [{ value }],
    } of glued)
      expect(questions).not.toContain(value);
  });

  it.each([
    ['test_jsons/agi.json', 'agiqa3k', undefined],
    ['ft/agiqa3k/train_split_1.json', 'agiqa3k', undefined],
    ['test_jsons/konvid.json', 'konvid1k', undefined],
    ['test_jsons/livec.json', 'livec', undefined],
    ['test_jsons/maxwell_test.json', 'maxwell', 'explainable'],
  ])('%s: the scores of %s', async (file, dataset, source) => {
    const rows = JSON.parse(readFileSync(join(OFFICIAL, file), 'utf8')) as {
      img_path: string;
      gt_score: string | number;
    }[];
    const { scan } = await openSource({ dataset, labels: LABELS, source });
    const scores = new Map<string, number>();
    for await (const batch of scan()) for (const { name, mos } of batch) scores.set(name, mos);
    for (const { img_path: path, gt_score: score } of rows)
      expect(scores.get(path.replace(/^(agi-cgi|agiqa3k|livec)\//, '')), path).toBe(Number(score));
  });

  it('csiq.json: all rows except the 150 contrast changes, which differ from the label file', async () => {
    const rows = JSON.parse(readFileSync(join(OFFICIAL, 'test_jsons/csiq.json'), 'utf8')) as {
      image: string;
      gt_score: number;
    }[];
    const { scan } = await openSource({ dataset: 'csiq', labels: LABELS, source: 'beta-text' });
    const scores = new Map<string, number>();
    for await (const batch of scan()) for (const { name, mos } of batch) scores.set(name, mos);
    const wrong = rows.filter(
      ({ image, gt_score: dmos }) =>
        !(Math.abs((scores.get(image.replace('csiq/dst_imgs/', '')) ?? NaN) - (1 - dmos)) < 1e-9),
    );
    expect(wrong).toHaveLength(150);
    expect(wrong.every(({ image }) => image.includes('/contrast/'))).toBe(true);
  });
});

const golden = JSON.parse(
  readFileSync(new URL('../fixtures/datasets/level_conversion.json', import.meta.url), 'utf8'),
) as Record<
  string,
  {
    n_all: number;
    m: number;
    M: number;
    rows_kept: number;
    levels_bad_to_excellent: number[];
    srcc: number;
    plcc: number;
    literal_eq1: { m: number; M: number; levels: number[]; srcc: number; plcc: number };
  }
>;

describe.skipIf(notRun('the counts, ranges and correlations of the published conversions'))(
  'golden/level_conversion.json',
  () => {
    const spaq = { dataset: 'spaq', labels: LABELS, splitLists: { test: join(OFFICIAL, 'test_jsons/test_spaq.json') } };
    const live = {
      dataset: join(OFFICIAL, 'test_jsons/live.json'),
      own: { imageColumn: 'image', scoreColumn: 'gt_score' },
    };
    const cases: [string, DatasetSource, string, ConversionChoices?][] = [
      ['koniq10k training', { dataset: 'koniq10k', labels: LABELS }, 'train'],
      ['koniq10k test', { dataset: 'koniq10k', labels: LABELS }, 'test'],
      ['spaq train (+4 dropped)', spaq, 'train'],
      ['spaq test', spaq, 'test'],
      ['kadid10k train I01-I65', { dataset: 'kadid10k', labels: LABELS }, 'train'],
      ['kadid10k test I66-I81 (official test file range)', { dataset: 'kadid10k', labels: LABELS }, 'test'],
      ['lsvq train', { dataset: 'lsvq', labels: LABELS }, 'train'],
      ['lsvq test', { dataset: 'lsvq', labels: LABELS }, 'test'],
      ['lsvq 1080p', { dataset: 'lsvq', labels: LABELS }, '1080p'],
      ['maxwell train', { dataset: 'maxwell', labels: LABELS }, 'train'],
      ['agiqa3k all', { dataset: 'agiqa3k', labels: LABELS }, 'all'],
      ['livec 1169', { dataset: 'livec', labels: LABELS }, 'all'],
      ['live 982 DMOS not inverted', live, 'all', { range: [0, 81.39075602] }],
    ];

    it('has a case for each of its entries', () =>
      expect(cases.map(([name]) => name).sort()).toEqual(Object.keys(golden).sort()));

    const same = (
      found: SplitSummary,
      wanted: { m: number; M: number; srcc: number; plcc: number },
      levels: number[],
      n: number,
    ): void => {
      expect(found.n).toBe(n);
      expect(found.range[0]).toBeCloseTo(wanted.m, 9);
      expect(found.range[1]).toBeCloseTo(wanted.M, 9);
      expect(Object.values(found.levels).reverse()).toEqual(levels);
      expect(found.srcc).toBeCloseTo(wanted.srcc, 4);
      expect(found.plcc).toBeCloseTo(wanted.plcc, 4);
    };

    it.each(cases)('%s: official, and Eq. 1 to the letter', async (name, source, split, choices = {}) => {
      const wanted = golden[name]!;
      const officially = (await convert(source, { preset: 'official', ...choices })).summary.splits[split]!;
      expect(officially.n_all).toBe(wanted.n_all);
      same(officially, wanted, wanted.levels_bad_to_excellent, wanted.rows_kept);
      const literal = (await convert(source, { preset: 'paper' })).summary.splits[split]!;
      same(literal, wanted.literal_eq1, wanted.literal_eq1.levels, wanted.n_all);
    });

    it('Table 2 agrees to three decimals', async () => {
      const { rows } = await reproduce('table2', { labels: LABELS });
      const checked = rows.filter(({ dataset }) => dataset !== 'ava');
      expect(checked.map(({ dataset }) => dataset)).toEqual(['koniq10k', 'spaq', 'kadid10k', 'lsvq']);
      for (const row of checked)
        for (const key of ['srcc', 'plcc'])
          expect(Number(row[key]).toFixed(3)).toBe(Number(row[`paper_${key}`]).toFixed(3));
      expect(rows.find(({ dataset }) => dataset === 'ava')).toMatchObject({ n: 25501, n_all: 25551 });
    });
  },
);

/** Copies whose columns were edited by others, with their errors. */
const EDITED: Readonly<Record<string, RegExp>> = {
  'lsvq distributor': /labels_train_test\.csv:1: there is no column "is_test"/,
};

describe.skipIf(notRun('all readers on the published copies'))('every available source', () => {
  it('is read completely, with the same scores and spreads from every copy', async () => {
    const read: string[] = [];
    for (const spec of await listDatasetSpecs()) {
      let first: Converted['found'] | undefined;
      for (const { name } of spec.sources) {
        try {
          findLabels(spec, LABELS, { source: name });
        } catch {
          continue;
        }
        const key = `${spec.name} ${name}`;
        const conversion = convert({ dataset: spec.name, labels: LABELS, source: name });
        if (key in EDITED) {
          await expect(conversion).rejects.toThrow(EDITED[key]);
          continue;
        }
        const { summary, found } = await conversion;
        const shared = [...found.values()].flatMap(({ record }) => {
          const other = first?.get(record.media)?.record;
          return other === undefined ? [] : [[record, other] as const];
        });
        if (shared.length > 100)
          expect(
            plcc(
              shared.map(([{ mos }]) => mos),
              shared.map(([, { mos }]) => mos),
            ),
            key,
          ).toBeGreaterThan(0.99);
        const spreads = shared.filter(([one, other]) => one.mos_std !== undefined && other.mos_std !== undefined);
        if (spreads.length > 100)
          expect(
            plcc(
              spreads.map(([{ mos_std: std }]) => std!),
              spreads.map(([, { mos_std: std }]) => std!),
            ),
            key,
          ).toBeGreaterThan(0.99);
        first ??= found;
        expect(summary.n, key).toBeGreaterThan(500);
        expect(summary.srcc!, key).toBeGreaterThan(0.75);
        read.push(key);
      }
    }
    expect(read.length).toBeGreaterThan(45);
  }, 600_000);
});
