import { appendFile, mkdtemp, readFile, readdir, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parse } from 'csv-parse/sync';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openJsonFile, openResultFile } from '../../../src/recipes/score/result-file.js';
import { isFailure, type ScoreOutcome, type ScoreResult } from '../../../src/api/result.js';
import type { ScoreSource } from '../../../src/recipes/score/scorer.js';
import { fakeScorer, picture } from './fake-scorer.js';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'qalign-results-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

async function scored(...sources: ScoreSource[]): Promise<{ version: string; outcomes: ScoreOutcome[] }> {
  const scorer = await fakeScorer();
  const outcomes: ScoreOutcome[] = [];
  for await (const some of scorer.scoreMany(sources)) outcomes.push(...some);
  return { version: scorer.scoreVersion, outcomes };
}
const outcomesOf = (names: string[]): ReturnType<typeof scored> => scored(...names.map((name) => picture(name)));

describe.each(['jsonl', 'csv'] as const)('a %s file', (format) => {
  const names = ['a, "b"\n.jpg', 'c.jpg', 'd é 漢.jpg', 'e.jpg'];

  it('can be cut at any byte and continued: every score once, only complete lines', async () => {
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
        if (file.missing(picture(outcome.input), ['quality']).length === 0) continue;
        await file.write([outcome]);
        added += 1;
      }
      await file.close();
      expect(before + added).toBe(4);
      expect((await readFile(path)).equals(bytes), `cut at ${cut}`).toBe(true);
    }
  });

  it('retries failures and keeps the scores', async () => {
    const { version, outcomes } = await outcomesOf(['a', 'bad', 'ccc']);
    const path = join(folder, `x.${format}`);
    const first = await openResultFile(path, { format, resume: false, scoreVersion: version });
    await first.write(outcomes);
    await first.close();
    const again = await openResultFile(path, { format, resume: true, scoreVersion: version });
    expect(again.kept).toBe(2);
    expect(['a', 'bad', 'ccc'].filter((name) => again.missing(picture(name), ['quality']).length > 0)).toEqual(['bad']);
    await again.close();
    expect(await readFile(path, 'utf8')).not.toContain('MEDIA_CORRUPT');
    expect(await readdir(folder)).toEqual([`x.${format}`]);
  });

  const file = (bytes: number, modified?: string, sha256?: string): ScoreSource => ({
    ...picture('a.jpg'),
    identity: { bytes, modified, sha256 },
  });
  /** A file with the scores of these inputs, and a function that opens it again. */
  async function written(
    ...sources: ScoreSource[]
  ): Promise<{ path: string; options: { format: typeof format; scoreVersion: string } }> {
    const { version, outcomes } = await scored(...sources);
    const path = join(folder, `x.${format}`);
    const options = { format, scoreVersion: version };
    const first = await openResultFile(path, { ...options, resume: false });
    await first.write(outcomes);
    await first.close();
    return { path, options };
  }

  it('scores a file again whose size, time or hash changed, and keeps one row of it', async () => {
    const old = file(10, '2026-01-01T00:00:00Z', 'a'.repeat(64));
    const { path, options } = await written(old, picture('b.jpg'));
    const isMissing = async (source: ScoreSource): Promise<boolean> => {
      const again = await openResultFile(path, { ...options, resume: true });
      const owed = again.missing(source, ['quality']);
      await again.close();
      expect(again.changed).toBe(owed.length);
      return owed.length > 0;
    };
    expect(await isMissing(file(10, '2026-01-01T00:00:00Z'))).toBe(false);
    expect(await isMissing(file(11, '2026-01-01T00:00:00Z'))).toBe(true);
    expect(await isMissing(file(10, '2026-01-02T00:00:00Z'))).toBe(true);
    expect(await isMissing(file(10, '2026-01-02T00:00:00Z', 'a'.repeat(64)))).toBe(false);
    expect(await isMissing(file(10, '2026-01-01T00:00:00Z', 'b'.repeat(64)))).toBe(true);
    const changed = file(11, '2026-01-03T00:00:00Z');
    const again = await openResultFile(path, { ...options, resume: true });
    expect(again.missing(changed, ['quality'])).toEqual(['quality']);
    await again.write((await scored(changed)).outcomes);
    await again.close();
    const text = await readFile(path, 'utf8');
    expect(text.match(/a\.jpg/g)).toHaveLength(1);
    expect(text).toContain('2026-01-03');
    expect(text).toContain('b.jpg');
    expect(await isMissing(changed)).toBe(false);
  });

  it('uses the last of two rows, which a killed run can leave', async () => {
    const { path, options } = await written(file(10, '2026-01-01T00:00:00Z'), file(11, '2026-01-02T00:00:00Z'));
    const again = await openResultFile(path, { ...options, resume: true });
    expect([again.kept, again.missing(file(11, '2026-01-02T00:00:00Z'), ['quality'])]).toEqual([1, []]);
    await again.close();
    expect((await readFile(path, 'utf8')).match(/a\.jpg/g)).toHaveLength(1);
  });

  it('distinguishes names that are not UTF-8 by their bytes', async () => {
    const named = (...bytes: number[]): ScoreSource => ({
      ...picture('\ufffd.jpg'),
      media: { path: Uint8Array.from([...bytes, 0x2e, 0x6a, 0x70, 0x67]) },
    });
    const { path, options } = await written(named(0xff));
    const again = await openResultFile(path, { ...options, resume: true });
    expect(again.missing(named(0xff), ['quality'])).toEqual([]);
    expect(again.missing(named(0xfe), ['quality'])).toEqual(['quality']);
    await again.close();
  });

  it('retries scores with warnings under strict', async () => {
    const { path, options } = await written(picture('a.mp4', 'video'), picture('b.jpg'));
    const again = await openResultFile(path, { ...options, resume: true, strict: true });
    expect(again.kept).toBe(1);
    expect(again.missing(picture('a.mp4', 'video'), ['quality'])).toEqual(['quality']);
    await again.close();
  });

  it('refuses another score_version, another file, and an existing file without resume', async () => {
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
  it('has the same content as the JSON', async () => {
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

describe('csv for spreadsheets', () => {
  const names = ['=1+1.jpg', '@x.jpg', '-é.jpg', "'quoted.jpg", '+a,b.jpg', 'plain.jpg'];

  it('turns formulas into text, keeps the exact names, and can be continued', async () => {
    const { version, outcomes } = await outcomesOf(names);
    const path = join(folder, 'x.csv');
    const options = { format: 'csv' as const, scoreVersion: version, csv: { spreadsheet: true } };
    const file = await openResultFile(path, { ...options, resume: false });
    await file.write(outcomes);
    await file.close();
    const rows = parse<Record<string, string>>(await readFile(path, 'utf8'), { columns: true });
    expect(rows.map(({ input }) => input)).toEqual([...names.slice(0, 5).map((name) => `'${name}`), 'plain.jpg']);
    expect(rows.slice(0, 5).map((row) => Buffer.from(row['input_base64']!, 'base64').toString())).toEqual(
      names.slice(0, 5),
    );
    expect(rows[5]!['input_base64']).toBe('');
    const negative = outcomes.some((one) => !isFailure(one) && Object.values(one.logits).some((value) => value < 0));
    expect(negative && rows.some((row) => /^-\d/.test(row['logit_bad']!))).toBe(negative);
    const again = await openResultFile(path, { ...options, resume: true });
    expect(names.flatMap((name) => again.missing(picture(name), ['quality']))).toEqual([]);
    await again.close();
  });
});

describe('a json file', () => {
  it('appears complete at the end, or not at all', async () => {
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

  it('names the path that it cannot write', async () => {
    await expect(openJsonFile(join(folder, 'no', 'x.json'))).rejects.toMatchObject({
      code: 'OUTPUT_UNWRITABLE',
      message: expect.stringContaining('x.json') as string,
    });
  });
});
