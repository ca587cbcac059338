import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { asyncBufferFromFile, parquetMetadataAsync, parquetReadObjects } from 'hyparquet';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { ScoreOutcome, ScoreResult } from '../../../src/api/result.js';
import {
  compactLayout,
  emptyMeta,
  expandRow,
  withOutcome,
  type Shared,
} from '../../../src/recipes/score/layout/compact.js';
import { FULL_LAYOUT } from '../../../src/recipes/score/layout/layout.js';
import { csvHeader, csvLine } from '../../../src/recipes/score/result-csv.js';
import { openParquetFile } from '../../../src/recipes/score/result-parquet.js';
import { CHAT_MODEL, chatScorer } from './fake-chat-scorer.js';
import { picture } from './fake-scorer.js';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'qalign-chat-rows-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

/** Two scored pictures and a failed one. */
async function outcomesOf(model: string): Promise<[ScoreResult, ...ScoreOutcome[]]> {
  const { scorer } = await chatScorer({ model });
  const outcomes: ScoreOutcome[] = [];
  for await (const some of scorer.scoreMany(['a', 'b', 'bad'].map((name) => picture(name)))) outcomes.push(...some);
  return outcomes as [ScoreResult, ...ScoreOutcome[]];
}

describe('rows of a chat model', () => {
  it.each([
    ['hf:someone/their-vlm', 'false'],
    ['q-realign-mini', ''],
  ])('say in CSV whether %s was taught, and which processor it has', async (model, taught) => {
    const outcomes = await outcomesOf(model);
    const names = csvHeader(FULL_LAYOUT).split(',');
    const cells = outcomes.map((one) => csvLine(one).split(','));
    const of = (name: string): (string | undefined)[] => cells.map((row) => row[names.indexOf(name)]);
    expect(of('taught')).toEqual([taught, taught, '']);
    expect(of('processor')).toEqual([CHAT_MODEL.processor, CHAT_MODEL.processor, '']);
  });

  it('keep in a compact file what all rows share, and can be restored', async () => {
    const outcomes = await outcomesOf('hf:someone/their-vlm');
    const meta = outcomes.reduce(withOutcome, emptyMeta(['quality']));
    const rows = outcomes.map((one) => JSON.parse(compactLayout(meta.defaults).jsonOf(one)) as Record<string, unknown>);
    expect(meta.models).toHaveLength(1);
    expect(Object.keys(rows[0]!)).not.toContain('model');
    const [first] = outcomes;
    const restored = expandRow(rows[0]!, meta)!;
    for (const key of ['model', 'prompt', 'preprocessing', 'scale', 'score_version'] as const)
      expect(restored[key]).toEqual(first[key]);
    expect(restored['score']).toBeCloseTo(first.score, 5);
    expect(rows[2]).toMatchObject({ error: { code: 'MEDIA_CORRUPT' } });
  });

  it('have typed columns in Parquet, and their model in its metadata', async () => {
    const outcomes = await outcomesOf('hf:someone/their-vlm');
    const path = join(folder, 'x.parquet');
    const file = await openParquetFile(path);
    await file.write(outcomes);
    await file.close();
    const buffer = await asyncBufferFromFile(path);
    const metadata = await parquetMetadataAsync(buffer);
    const shared = JSON.parse(metadata.key_value_metadata?.[0]?.value ?? '') as Shared;
    expect([shared.model, shared.prompts[0]?.prompt]).toEqual([outcomes[0].model, outcomes[0].prompt]);
    const rows = (await parquetReadObjects({ file: buffer, metadata })) as Record<string, unknown>[];
    expect(rows.map((row) => [row['taught'], row['processor']])).toEqual([
      [false, CHAT_MODEL.processor],
      [false, CHAT_MODEL.processor],
      [null, null],
    ]);
  });
});
