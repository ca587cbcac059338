import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { run as runScore } from './run-score.js';

const run = (...line: string[]): ReturnType<typeof runScore> => runScore(line);

let folder: string;
beforeEach(async () => void (folder = await mkdtemp(join(tmpdir(), 'qalign-calibrated-'))));
afterEach(() => rm(folder, { recursive: true, force: true }));

interface Row {
  readonly score: number;
  readonly score_version: string;
  readonly calibration?: string;
  readonly calibrated_score?: number;
}
const rows = (text: string): Row[] =>
  text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Row);

/** A calibration of the fake scores, steeper by `slope`. */
async function calibration(name: string, slope: number): Promise<string> {
  const [{ score_version }] = rows((await run('x.jpg')).out) as [Row];
  const curve = { method: 'isotonic', x: [1, 5], y: [1, 1 + 4 * slope] };
  const file = { format: 'qalign-calibration/1', dataset: 'd', model: 'm', score_version, n: 9, curve };
  await writeFile(join(folder, name), JSON.stringify(file));
  return join(folder, name);
}

describe('score --calibration', () => {
  it('keeps score and score_version unchanged, and names the calibration', async () => {
    const file = await calibration('c.json', 10);
    const [plain] = rows((await run('a.jpg')).out) as [Row];
    const [calibrated] = rows((await run('a.jpg', '--calibration', file)).out) as [Row];
    expect([calibrated.score, calibrated.score_version]).toEqual([plain.score, plain.score_version]);
    expect(calibrated.calibrated_score).toBeCloseTo(1 + 10 * (plain.score - 1), 9);
    expect(calibrated.calibration).toMatch(/^[0-9a-f]{16}$/);
    expect(plain).not.toHaveProperty('calibration');
  });

  it.each(['rows.jsonl', 'rows.csv'])('continues %s only with the same calibration', async (name) => {
    const [file, other] = [await calibration('c.json', 10), await calibration('d.json', 20)];
    const out = join(folder, name);
    await run('a.jpg', '--calibration', file, '--out', out);
    const again = await run('a.jpg', 'b.jpg', '--calibration', file, '--out', out, '--resume');
    expect(again.log.engineCalls.length).toBe(1);
    expect((await readFile(out, 'utf8')).trim().split('\n').length).toBe(name.endsWith('.csv') ? 3 : 2);
    for (const flags of [[], ['--calibration', other]])
      await expect(run('a.jpg', 'c.jpg', ...flags, '--out', out, '--resume')).rejects.toMatchObject({
        code: 'RESUME_MISMATCH',
      });
  });

  it('requires the field that identifies the calibration if fields are selected', async () => {
    const fields = 'input,task,score_version,file_size,modified,calibrated_score';
    const line = ['a.jpg', '--calibration', await calibration('c.json', 10), '--out', join(folder, 'f.jsonl')];
    await expect(run(...line, '--fields', fields, '--resume')).rejects.toThrow(/calibration/);
    await run(...line, '--fields', `${fields},calibration`, '--resume');
    expect((await run('b.jpg', ...line, '--fields', `${fields},calibration`, '--resume')).log.engineCalls.length).toBe(
      1,
    );
  });
});
