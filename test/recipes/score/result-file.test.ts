import { appendFile, mkdtemp, readFile, readdir, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parse } from 'csv-parse/sync';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openJsonFile, openResultFile } from '../../../src/recipes/score/result-file.js';
import { isFailure, type ScoreOutcome, type ScoreResult } from '../../../src/api/result.js';
import { fakeScorer, picture } from './fake-scorer.js';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'qalign-results-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

async function outcomesOf(names: string[]): Promise<{ version: string; outcomes: ScoreOutcome[] }> {
  const scorer = await fakeScorer();
  const outcomes: ScoreOutcome[] = [];
  for await (const some of scorer.scoreMany(names.map((name) => picture(name)))) outcomes.push(...some);
  return { version: scorer.scoreVersion, outcomes };
}

describe.each(['jsonl', 'csv'] as const)('a %s file', (format) => {
  const names = ['a, "b"\n.jpg', 'c.jpg', 'd é 漢.jpg', 'c.jpg'];

  it('can be cut at any byte and continued: every score once, whole lines only', async () => {
    const { version, outcomes } = await outcomesOf(names);
    const whole = join(folder, `whole.${format}`);
    const first = await openResultFile(whole, { format, resume: false, scoreVersion: version });
    await first.write(outcomes);
    await first.close();
    const bytes = await readFile(whole);
    for (let cut = 0; cut <= bytes.length; cut += cut < 40 || cut > bytes.length - 40 ? 1 : 37) {
      const path = join(folder, `cut.${format}`);
      await writeFile(path, bytes);
      await truncate(path, cut);
      const file = await openResultFile(path, { format, resume: true, scoreVersion: version });
      const before = file.kept;
      let added = 0;
      for (const outcome of outcomes) {
        if (file.missing(outcome.input, ['quality']).length === 0) continue;
        await file.write([outcome]);
        added += 1;
      }
      await file.close();
      expect(before + added).toBe(4);
      expect((await readFile(path)).equals(bytes), `cut at ${cut}`).toBe(true);
    }
  });

  it('tries failures again and keeps the scores', async () => {
    const { version, outcomes } = await outcomesOf(['a', 'bad', 'ccc']);
    const path = join(folder, `x.${format}`);
    const first = await openResultFile(path, { format, resume: false, scoreVersion: version });
    await first.write(outcomes);
    await first.close();
    const again = await openResultFile(path, { format, resume: true, scoreVersion: version });
    expect(again.kept).toBe(2);
    expect(['a', 'bad', 'ccc'].filter((name) => again.missing(name, ['quality']).length > 0)).toEqual(['bad']);
    await again.close();
    expect(await readFile(path, 'utf8')).not.toContain('MEDIA_CORRUPT');
    expect(await readdir(folder)).toEqual([`x.${format}`]);
  });

  it('refuses another score_version, another file, and a file that is there when not resuming', async () => {
    const { version, outcomes } = await outcomesOf(['a']);
    const path = join(folder, `x.${format}`);
    const first = await openResultFile(path, { format, resume: false, scoreVersion: version });
    await first.write(outcomes);
    await first.close();
    const bytes = await readFile(path);
    await expect(openResultFile(path, { format, resume: true, scoreVersion: '0'.repeat(16) })).rejects.toMatchObject({
      code: 'RESUME_MISMATCH',
    });
    await expect(openResultFile(path, { format, resume: false, scoreVersion: version })).rejects.toMatchObject({
      code: 'OUTPUT_UNWRITABLE',
    });
    await appendFile(path, 'what is this\n');
    await expect(openResultFile(path, { format, resume: true, scoreVersion: version })).rejects.toMatchObject({
      code: 'RESUME_MISMATCH',
    });
    expect((await readFile(path)).subarray(0, bytes.length).equals(bytes)).toBe(true);
  });
});

describe('csv', () => {
  it('says what the JSON says', async () => {
    const { version, outcomes } = await outcomesOf(['x, y', 'bad']);
    const path = join(folder, 'x.csv');
    const file = await openResultFile(path, { format: 'csv', resume: false, scoreVersion: version });
    await file.write(outcomes);
    await file.close();
    const rows = parse<Record<string, string>>(await readFile(path, 'utf8'), { columns: true });
    const scored = outcomes.find((outcome) => !isFailure(outcome)) as ScoreResult;
    expect(rows[0]).toMatchObject({
      input: 'x, y',
      task: 'quality',
      level: scored.level,
      model: 'tiny-untrained',
      score_version: version,
      error_code: '',
    });
    expect(Number(rows[0]?.['score'])).toBe(scored.score);
    expect(Number(rows[0]?.['p_bad'])).toBe(scored.level_probs.bad);
    expect(rows[1]).toMatchObject({ input: 'bad', score: '', error_code: 'MEDIA_CORRUPT' });
  });
});

describe('a json file', () => {
  it('appears whole at the end, or not at all', async () => {
    const { outcomes } = await outcomesOf(['a', 'b']);
    const path = join(folder, 'x.json');
    const file = await openJsonFile(path);
    await file.write(outcomes);
    expect(await readdir(folder)).not.toContain('x.json');
    await file.close();
    expect(JSON.parse(await readFile(path, 'utf8'))).toEqual(outcomes);
    const other = await openJsonFile(join(folder, 'y.json'));
    await other.write(outcomes);
    await other.discard();
    expect(await readdir(folder)).toEqual(['x.json']);
  });

  it('says where it cannot write', async () => {
    await expect(openJsonFile(join(folder, 'no', 'x.json'))).rejects.toMatchObject({
      code: 'OUTPUT_UNWRITABLE',
      message: expect.stringContaining('x.json') as string,
    });
  });
});
