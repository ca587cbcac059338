import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { ScoreResult } from '../../../../src/api/result.js';
import { compactLayout } from '../../../../src/recipes/score/layout/compact.js';
import { fieldsLayout, FULL_LAYOUT, type ResultLayout } from '../../../../src/recipes/score/layout/layout.js';
import type { ResumeNeeds } from '../../../../src/recipes/score/layout/fields.js';
import { lackingForResume } from '../../../../src/recipes/score/layout/fields.js';
import { withMapColumns } from '../../../../src/recipes/score/map/columns.js';
import { csvHeader, csvLine } from '../../../../src/recipes/score/result-csv.js';
import { openResultFile } from '../../../../src/recipes/score/result-file.js';
import { fakeScorer, picture } from '../fake-scorer.js';

const NEEDS: ResumeNeeds = {
  ...{ hash: false, strict: false, failBelow: undefined, spreadsheet: false, severalModels: false, calibrated: false },
  perFrame: false,
  map: true,
};
let folder: string;
let [plain, mapped, clip]: ScoreResult[] = [];
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'qalign-map-columns-'));
  const scorer = await fakeScorer();
  plain = (await scorer.score(picture('plain'), { task: 'quality' })) as ScoreResult;
  mapped = (await scorer.score(picture('mapped'), { task: 'quality', map: { window: 240 } })) as ScoreResult;
  clip = (await scorer.score(picture('clip', 'video'), { task: 'quality', map: true })) as ScoreResult;
});
afterAll(() => rm(folder, { recursive: true }));

it('adds four columns to CSV, and the whole map to Parquet; other runs keep their columns', () => {
  const csv = withMapColumns(FULL_LAYOUT);
  expect(csvHeader(csv)).toBe(`${csvHeader(FULL_LAYOUT)},map_min,map_min_x,map_min_y,map_median`);
  expect(csvLine(mapped!, {}, csv).split(',').slice(-4)).toEqual(
    [mapped!.map!.values[0], 0, 0, mapped!.map!.median].map(String),
  );
  expect(csvLine(clip!, {}, csv)).toMatch(/,,,,$/);
  const parquet = withMapColumns(compactLayout({}));
  const { map } = JSON.parse(parquet.jsonOf(mapped!)) as ScoreResult;
  expect(JSON.parse(parquet.cellsOf(mapped!)['map'] as string)).toEqual(map);
  expect(parquet.cellsOf(mapped!)['map_min']).toBe(map!.values[0]);
  expect(parquet.columns.find(({ name }) => name === 'map_min')?.type).toBe('float');
  expect(lackingForResume(['input', 'task', 'score_version', 'file_size', 'modified'], NEEDS)).toEqual(['kind', 'map']);
});

const FIELDS = ['input', 'kind', 'task', 'score_version', 'file_size', 'modified', 'map.median'];
const CASES: readonly (readonly [string, 'jsonl' | 'csv', ResultLayout])[] = [
  ['full', 'jsonl', FULL_LAYOUT],
  ['compact', 'jsonl', compactLayout({})],
  ['chosen fields', 'jsonl', fieldsLayout(FIELDS)],
  ['full', 'csv', withMapColumns(FULL_LAYOUT)],
  ['compact', 'csv', withMapColumns(compactLayout({}))],
  ['chosen fields', 'csv', fieldsLayout(FIELDS)],
];

it.each(CASES)(
  'scores pictures without a map again when a run with maps resumes: %s %s',
  async (name, format, layout) => {
    const path = join(folder, `${name}.${format}`);
    const options = { format, layout, scoreVersion: plain!.score_version, tasks: ['quality'] as const };
    const first = await openResultFile(path, { ...options, resume: false, needs: { ...NEEDS, map: false } });
    await first.write([plain!, mapped!, clip!]);
    await first.close();
    const owed = async (needs: ResumeNeeds): Promise<string[]> => {
      const file = await openResultFile(path, { ...options, resume: true, needs });
      await file.close();
      const sources = [picture('plain'), picture('mapped'), picture('clip', 'video')];
      return sources.filter((source) => file.missing(source, ['quality']).length > 0).map(({ input }) => input);
    };
    expect(await owed({ ...NEEDS, map: false })).toEqual([]);
    expect(await owed(NEEDS)).toEqual(['plain']);
  },
);
