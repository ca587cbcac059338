import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ScoreOutcome } from '../../../src/api/result.js';
import type { QalignError } from '../../../src/base/errors.js';
import { compactLayout, emptyMeta, withOutcome } from '../../../src/recipes/score/layout/compact.js';
import { fieldsLayout, FULL_LAYOUT, type ResultLayout } from '../../../src/recipes/score/layout/layout.js';
import { csvHeader, csvLine } from '../../../src/recipes/score/result-csv.js';
import { openParquetFile } from '../../../src/recipes/score/result-parquet.js';
import { indexResults } from '../../../src/recipes/view/results.js';
import { findViewTarget } from '../../../src/recipes/view/target.js';
import { makeOutcomes } from '../../page/stored.js';

let folder: string;
let outcomes: ScoreOutcome[];
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'view-'));
  outcomes = await makeOutcomes(folder, 40);
});
afterAll(() => rm(folder, { recursive: true }));

const meta = (): ReturnType<typeof emptyMeta> => outcomes.reduce(withOutcome, emptyMeta(['quality']));
const LAYOUTS: Readonly<Record<string, () => ResultLayout>> = {
  full: () => FULL_LAYOUT,
  fields: () => fieldsLayout(['input', 'task', 'score', 'level_probs', 'error', 'model.id']),
  compact: () => compactLayout(meta().defaults),
};
const WRITERS: Readonly<Record<string, (file: string, layout: ResultLayout) => Promise<void>>> = {
  jsonl: (file, layout) => writeFile(file, outcomes.map((one) => `${layout.jsonOf(one)}\n`).join('')),
  json: (file, layout) => writeFile(file, `[\n${outcomes.map((one) => layout.jsonOf(one)).join(',\n')}\n]\n`),
  csv: (file, layout) =>
    writeFile(file, [csvHeader(layout), ...outcomes.map((one) => csvLine(one, {}, layout)), ''].join('\n')),
  async parquet(file, layout) {
    const parquet = await openParquetFile(file, { layout });
    await parquet.write(outcomes);
    await parquet.close();
  },
};

describe('results of every format and layout', () => {
  it.each(Object.keys(WRITERS).flatMap((format) => Object.keys(LAYOUTS).map((layout) => [format, layout])))(
    '%s, %s',
    async (format, name) => {
      const file = join(folder, `${name}.${format}`);
      await WRITERS[format]!(file, LAYOUTS[name]!());
      if (name === 'compact') await writeFile(`${file}.meta.json`, JSON.stringify(meta()));
      const results = await indexResults(file);
      expect(results.summary).toMatchObject({ rows: 40, failed: 4 });
      const { total, rows } = results.rows({ show: 'scored', sort: 'score', down: true, limit: 5 });
      expect(total).toBe(36);
      const best = outcomes.map((one) => ('score' in one ? one.score : 0)).sort((a, b) => b - a);
      rows.forEach(({ score }, i) => expect(score).toBeCloseTo(best[i]!, 5));
      expect(rows[0]!.level_probs).toHaveLength(5);
      const { row, fields } = await results.item(8);
      expect(row).toMatchObject({ n: 8, input: 'photos/picture-0007.png', error: { code: 'MEDIA_CORRUPT' } });
      expect((fields as { input?: string }).input).toBe(row.input);
      results.close();
    },
  );

  it('sorts rows without a value last in both directions, and filters by name', async () => {
    const file = join(folder, 'sorted.jsonl');
    await WRITERS['jsonl']!(file, FULL_LAYOUT);
    const results = await indexResults(file);
    for (const down of [false, true]) {
      const rows = results.rows({ sort: 'score', down, offset: 34, limit: 10 }).rows;
      expect(rows.map(({ score }) => score === null)).toEqual([false, false, true, true, true, true]);
    }
    expect(results.rows({ text: 'PICTURE-001', sort: 'name', down: true }).rows.map(({ n }) => n)[0]).toBe(20);
    expect(results.rows({ show: 'doubtful' }).total).toBe(4);
    results.close();
  });
});

it('recognises CSV by its header, and JSON lines by their brackets, under any name', async () => {
  for (const [format, name] of [
    ['csv', 'table.txt'],
    ['csv', 'table.jsonl'],
    ['jsonl', 'lines.csv'],
  ] as const) {
    await WRITERS[format]!(join(folder, name), FULL_LAYOUT);
    const results = await indexResults(join(folder, name));
    expect(results.summary).toMatchObject({ rows: 40, failed: 4 });
    results.close();
  }
});

it('finds the file of a name that is not UTF-8 beside the results', async () => {
  const exact = Buffer.from([0x62, 0xff, 0x2e, 0x70, 0x6e, 0x67]);
  const path = Buffer.concat([Buffer.from(`${folder}/`), exact]);
  await writeFile(path, 'picture');
  const row = { input: exact.toString(), input_base64: exact.toString('base64'), score: 3 };
  await writeFile(join(folder, 'bytes.jsonl'), `${JSON.stringify(row)}\n`);
  const results = await indexResults(join(folder, 'bytes.jsonl'));
  expect(results.media(1)).toEqual({ path });
  results.close();
});

describe('files that cannot be shown', () => {
  const full = (): string => outcomes.map((one) => `${JSON.stringify(one)}\n`).join('');
  const failure = (promise: Promise<unknown>): Promise<QalignError> =>
    promise.then(() => expect.fail('it was read'), (error: QalignError) => error); // prettier-ignore
  it.each([
    ['empty.jsonl', () => '', /has no rows/],
    ['header.csv', () => `${csvHeader(FULL_LAYOUT)}\n`, /has no rows/],
    ['broken.jsonl', () => `${full()}{"input":\n${full()}`, /Line 41 .* not a JSON object.*remove it/],
    ['other.jsonl', () => '{"a":1}\n', /Row 1 .*has no input/],
    ['number.jsonl', () => '17\n', /Line 1/],
    ['other.csv', () => 'a,b\n1,2\n', /no column "input"/],
    ['short.csv', () => 'input,score\na.png\n', /Line 2 .*has 1 cells/],
    ['broken.parquet', () => 'PAR1 and nothing more', /not a readable Parquet file/],
    ['binary.jsonl', () => '\u0000\u0001\u0002', /Line 1/],
    ['predictions.jsonl', () => '{"format":"qalign-predictions/2"}\n', /predictions file.*evaluation/],
    ['lost.jsonl', () => '{"input":"a.png","score":1,"v":"abc"}\n', /sidecar/],
  ])('%s', async (name, content, message) => {
    await writeFile(join(folder, name), content());
    const { code, message: found } = await failure(indexResults(join(folder, name)));
    expect([code, found]).toEqual(['RESULTS_INVALID', expect.stringMatching(message)]);
  });

  it('leaves out an incomplete last line, and keeps a complete one without a line end', async () => {
    for (const [end, rows, cut] of [
      ['{"input":"x', 40, true],
      ['{"input":"x.png","score":1}', 41, false],
    ] as const) {
      await writeFile(join(folder, 'cut.jsonl'), full() + end);
      const results = await indexResults(join(folder, 'cut.jsonl'));
      expect(results.summary).toMatchObject({ rows, cut });
      results.close();
    }
  });

  it('reports names that are neither a file, a run nor an evaluation', async () => {
    expect(await failure(findViewTarget('nothing-here', folder))).toMatchObject({ code: 'RESULTS_NOT_FOUND' });
    await mkdir(join(folder, 'plain'));
    const { code, message } = await failure(findViewTarget(join(folder, 'plain')));
    expect([code, message]).toEqual(['RESULTS_INVALID', expect.stringContaining('neither a run')]);
    await mkdir(join(folder, 'half/predictions'), { recursive: true });
    expect((await failure(findViewTarget(join(folder, 'half')))).message).toContain('not completed');
    await mkdir(join(folder, 'runs/koniq'), { recursive: true });
    await writeFile(join(folder, 'runs/koniq/recipe.json'), '{"name":"koniq"}');
    expect(await findViewTarget('koniq', join(folder, 'runs'))).toEqual({
      kind: 'run',
      path: join(folder, 'runs/koniq'),
    });
  });

  it.each([
    ['recipe.json', '{"name":'],
    ['recipe.json', '{}'],
    ['evaluation.json', '[]'],
    ['evaluation.json', ''],
  ])('a folder whose %s is damaged: %s', async (name, content) => {
    const damaged = await mkdtemp(join(folder, 'damaged-'));
    await writeFile(join(damaged, name), content);
    const { code, message } = await failure(findViewTarget(damaged));
    expect([code, message]).toEqual(['RESULTS_INVALID', expect.stringContaining(join(damaged, name))]);
  });
});
