import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { asyncBufferFromFile, parquetMetadataAsync, parquetReadObjects } from 'hyparquet';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { isFailure, type ScoreOutcome, type ScoreResult } from '../../../src/api/result.js';
import { openParquetFile } from '../../../src/recipes/score/result-parquet.js';
import { fullLayout } from '../../../src/recipes/score/layout/layout.js';
import { CSV_COLUMNS, CSV_CURVE_COLUMNS } from '../../../src/recipes/score/result-csv.js';
import { fakeScorer, picture, promptsOf } from './fake-scorer.js';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'qalign-parquet-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

async function outcomesOf(count: number): Promise<ScoreOutcome[]> {
  const scorer = await fakeScorer();
  const outcomes: ScoreOutcome[] = [];
  const sources = Array.from({ length: count }, (_, i) => ({
    ...picture(i % 10 === 3 ? `bad ${i}` : `é ${i}`, i % 10 === 5 ? 'video' : 'image'),
    identity: { bytes: 5_000_000_000 + i, modified: '2026-01-01T00:00:00Z' },
  }));
  for await (const some of scorer.scoreMany(sources)) outcomes.push(...some);
  return outcomes;
}

it('holds every row with types, in row groups, and shared values once', async () => {
  const outcomes = await outcomesOf(25_000);
  const path = join(folder, 'x.parquet');
  const file = await openParquetFile(path);
  for (const outcome of outcomes) await file.write([outcome]);
  expect(await readdir(folder)).not.toContain('x.parquet');
  await file.close();
  expect(await readdir(folder)).toEqual(['x.parquet']);

  const buffer = await asyncBufferFromFile(path);
  const metadata = await parquetMetadataAsync(buffer);
  expect(metadata.row_groups.map(({ num_rows }) => Number(num_rows))).toEqual([10_000, 10_000, 5_000]);
  const shared = JSON.parse(metadata.key_value_metadata?.[0]?.value ?? '') as unknown;
  const first = outcomes.find((outcome) => !isFailure(outcome)) as ScoreResult;
  expect(shared).toEqual({
    schema_version: 2,
    score_version: first.score_version,
    scale: 'mos5',
    model: first.model,
    prompts: promptsOf(outcomes),
    preprocessing: first.preprocessing,
  });
  const rows = await parquetReadObjects({ file: buffer, metadata, rowStart: 0, rowEnd: 20 });
  expect(Object.keys(rows[0]!)).toEqual([...CSV_COLUMNS]);
  outcomes.slice(0, 20).forEach((outcome, i) => {
    const row = rows[i]!;
    expect(row).toMatchObject({ input: outcome.input, task: 'quality', file_size: BigInt(outcome.file_size!) });
    if (isFailure(outcome)) expect(row).toMatchObject({ score: null, error_code: 'MEDIA_CORRUPT', warnings: [] });
    else
      expect(row).toMatchObject({
        score: outcome.score,
        p_bad: outcome.level_probs.bad,
        logit_good: Math.fround(outcome.logits.good),
        warnings: outcome.warnings,
        width: 640,
        error_code: null,
      });
  });
});

it('does not appear if it was discarded, and names the path that it cannot write', async () => {
  const file = await openParquetFile(join(folder, 'x.parquet'));
  await file.write(await outcomesOf(3));
  await file.discard();
  expect(await readdir(folder)).toEqual([]);
  await expect(openParquetFile(join(folder, 'none', 'x.parquet'))).rejects.toMatchObject({ code: 'OUTPUT_UNWRITABLE' });
});

it('can be empty', async () => {
  const path = join(folder, 'x.parquet');
  await (await openParquetFile(path)).close();
  expect(Number((await parquetMetadataAsync(await asyncBufferFromFile(path))).num_rows)).toBe(0);
});

it('holds frame curves as lists of doubles, which are null for pictures', async () => {
  const scorer = await fakeScorer();
  const outcomes: ScoreOutcome[] = [];
  for (const source of [picture('a.png', 'image'), picture('b.mp4', 'video')])
    outcomes.push(...(await scorer.score(source, { perFrame: true })));
  const path = join(folder, 'curves.parquet');
  const file = await openParquetFile(path, { layout: fullLayout(true) });
  await file.write(outcomes);
  await file.close();
  const rows = await parquetReadObjects({ file: await asyncBufferFromFile(path) });
  const { frame_curve: curve } = outcomes[1] as ScoreResult;
  expect([rows[0]?.['frames_mean'], rows[0]?.['frames_scores'] ?? null]).toEqual([null, null]);
  expect(rows[1]).toMatchObject({
    frames_window: 1,
    frames_mean: curve!.mean,
    frames_p5: curve!.p5,
    frames_times_s: [0, 1, 2],
    frames_scores: curve!.scores,
  });
  expect(Object.keys(rows[1]!)).toEqual([...CSV_CURVE_COLUMNS, 'frames_times_s', 'frames_scores']);
});
