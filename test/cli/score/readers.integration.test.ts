import { execFileSync } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { isFailure, type ScoreOutcome, type ScoreResult } from '../../../src/api/result.js';
import { compactLayout, emptyMeta } from '../../../src/recipes/score/layout/compact.js';
import { fieldsLayout, FULL_LAYOUT, fullLayout } from '../../../src/recipes/score/layout/layout.js';
import { openResultFile } from '../../../src/recipes/score/result-file.js';
import { openParquetFile } from '../../../src/recipes/score/result-parquet.js';
import { fakeScorer, picture, promptsOf } from '../../recipes/score/fake-scorer.js';

const COUNT = 10_500;
let folder: string;
let outcomes: ScoreOutcome[];
const at = (name: string): string => join(folder, name);

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'qalign-readers-'));
  const scorer = await fakeScorer();
  const sources = Array.from({ length: COUNT }, (_, i) => ({
    ...picture(i % 10 === 3 ? `bad "${i}",\n` : `é ${'x'.repeat(i % 30)} ${i}`, i % 10 === 5 ? 'video' : 'image'),
    identity: { bytes: 5_000_000_000 + i, modified: '2026-01-01T00:00:00.123456789Z' },
  }));
  outcomes = [];
  for await (const some of scorer.scoreMany(sources)) outcomes.push(...some);
  const layouts = { full: FULL_LAYOUT, compact: compactLayout({}), fields: fieldsLayout(FIELDS) };
  for (const [name, layout] of Object.entries(layouts)) {
    const file = await openParquetFile(at(`${name}.parquet`), { layout });
    await file.write(outcomes.slice(0, 10_000));
    await file.write(outcomes.slice(10_000));
    await file.close();
  }
  const curves = await openParquetFile(at('curves.parquet'), { layout: fullLayout(true) });
  await curves.write(await scorer.score(picture('a.png', 'image'), { perFrame: true }));
  await curves.write(await scorer.score(picture('b.mp4', 'video'), { perFrame: true }));
  await curves.close();
  for (const format of ['jsonl', 'csv'] as const) {
    const options = { format, resume: false, scoreVersion: scorer.scoreVersion, layout: layouts.compact };
    const file = await openResultFile(at(`compact.${format}`), { ...options, tasks: ['quality'] });
    await file.write(outcomes);
    await file.close();
  }
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const FIELDS = ['score', 'input', 'level_probs.good', 'logits', 'preprocessing.pad', 'preprocessing.auto_orient'];

const READ = `
import json, sys, duckdb, pyarrow.parquet as pq
folder = sys.argv[1]
COLUMNS = 'input, kind, score, p_good, logit_good, file_size, width, warnings, error_code'
def plain(rows): return [list(row) for row in rows]
def parquet(name):
    file = pq.ParquetFile(f'{folder}/{name}.parquet')
    table = file.read()
    return {'types': {f.name: str(f.type) for f in table.schema}, 'rows': table.slice(0, 20).to_pylist(),
            'groups': [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)],
            'meta': json.loads(file.metadata.metadata[b'qalign'])}
def duck(sql): return plain(duckdb.sql(sql).fetchall())
out = {name: parquet(name) for name in ['full', 'compact', 'fields', 'curves']}
out['curves']['duck'] = duck(f"select frames_mean, list_avg(frames_scores), len(frames_times_s) from '{folder}/curves.parquet'")
for name in ['full', 'compact']:
    out[name]['duck'] = duck(f"select {COLUMNS} from '{folder}/{name}.parquet' limit 20")
    out[name]['count'] = duck(f"select count(*), count(score), sum(file_size)::varchar from '{folder}/{name}.parquet'")
out['csv'] = duck(f"select input, kind, score::float, p_good::float, logit_good::float, file_size, width, error_code from read_csv('{folder}/compact.csv', header=true, sample_size=-1) limit 20")
out['jsonl'] = duck(f"select input, kind, score::float, level_probs[2]::float, logits[2]::float, file_size, width, error.code from read_json('{folder}/compact.jsonl', format='newline_delimited', sample_size=-1) limit 20")
print(json.dumps(out))
`;

interface Read {
  readonly types: Readonly<Record<string, string>>;
  readonly rows: Readonly<Record<string, unknown>>[];
  readonly groups: number[];
  readonly meta: unknown;
  readonly duck: unknown[][];
  readonly count: unknown[][];
}

it('is read by pyarrow and DuckDB: values, types, row groups and metadata', async () => {
  const text = execFileSync(process.env['QALIGN_PYTHON']!, ['-c', READ, folder], { encoding: 'utf8' });
  const read = JSON.parse(text) as Record<'full' | 'compact' | 'fields' | 'curves', Read> &
    Record<'csv' | 'jsonl', unknown[][]>;
  const first = outcomes.find((outcome) => !isFailure(outcome)) as ScoreResult;
  const { score_version, scale, model, preprocessing } = first;
  const shared = { score_version, scale, model, prompts: promptsOf(outcomes), preprocessing };
  const scored = outcomes.filter((outcome) => !isFailure(outcome)).length;

  expect(read.full.groups).toEqual([10_000, 500]);
  expect(read.full.meta).toEqual({ schema_version: 2, ...shared });
  expect(read.full.types).toMatchObject({
    score: 'double',
    logit_bad: 'float',
    file_size: 'int64',
    width: 'int32',
    input: 'string',
  });
  expect(read.compact.types).toMatchObject({ score: 'float', p_good: 'float', file_size: 'int64', v: 'string' });
  expect(read.compact.types).not.toHaveProperty('model');
  const models = [{ v: score_version.slice(0, 6), ...shared }];
  expect(read.compact.meta).toEqual({ ...emptyMeta([]), models });
  expect(JSON.parse(await readFile(at('compact.jsonl.meta.json'), 'utf8'))).toEqual({
    ...emptyMeta(['quality']),
    models,
  });
  expect(JSON.parse(await readFile(at('compact.csv.meta.json'), 'utf8'))).toMatchObject({ models });
  for (const name of ['full', 'compact'] as const)
    expect([Number(read[name].count[0]![0]), Number(read[name].count[0]![1])]).toEqual([COUNT, scored]);

  expect(read.curves.types).toMatchObject({ frames_mean: 'double', frames_window: 'int32' });
  expect(read.curves.types['frames_scores']).toBe('list<element: double>');
  expect(read.curves.duck[0]).toEqual([null, null, null]);
  const [mean, averaged, count] = read.curves.duck[1] as [number, number, number];
  expect([Math.abs(mean - averaged) < 1e-12, count]).toEqual([true, 3]);

  expect(Object.keys(read.fields.types)).toEqual([
    'score',
    'input',
    'level_probs.good',
    ...['excellent', 'good', 'fair', 'poor', 'bad'].map((level) => `logits.${level}`),
    'preprocessing.pad',
    'preprocessing.auto_orient',
  ]);
  expect(read.fields.types).toMatchObject({ 'preprocessing.auto_orient': 'bool', 'logits.good': 'float' });

  outcomes.slice(0, 20).forEach((outcome, i) => {
    const failed = isFailure(outcome);
    const values = (of: (value: number) => number): unknown[] => [
      outcome.input,
      failed ? null : outcome.kind,
      failed ? null : of(outcome.score),
      failed ? null : of(outcome.level_probs.good),
      failed ? null : Math.fround(outcome.logits.good),
      outcome.file_size,
      failed ? null : outcome.width,
    ];
    const code = failed ? outcome.error.code : null;
    const warnings = failed ? [] : outcome.warnings;
    expect(read.full.duck[i]).toEqual([...values((value) => value), warnings, code]);
    expect(read.compact.duck[i]).toEqual([...values(Math.fround), warnings, code]);
    expect(read.csv[i]).toEqual([...values(Math.fround), code]);
    const [input, kind, ...rest] = values(Math.fround);
    expect(read.jsonl[i]).toEqual([input, kind === 'image' ? null : kind, ...rest, code]);
    expect(read.fields.rows[i]).toMatchObject({
      input: outcome.input,
      score: failed ? null : outcome.score,
      'preprocessing.pad': failed ? null : preprocessing.pad,
      'preprocessing.auto_orient': failed ? null : false,
    });
  });
});
