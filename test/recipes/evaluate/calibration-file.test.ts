import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createCalibrator, loadCalibration } from '../../../src/recipes/evaluate/calibration-file.js';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'qalign-calibration-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const good = {
  format: 'qalign-calibration/1',
  dataset: 'koniq',
  model: 'nano',
  score_version: 'abc',
  n: 3,
  curve: { method: 'isotonic', x: [1, 2, 3], y: [1, 1, 4] },
};
const saved = async (value: unknown): Promise<string> => {
  const path = join(folder, 'calibration.json');
  await writeFile(path, typeof value === 'string' ? value : JSON.stringify(value));
  return path;
};

describe('a calibration file', () => {
  it('is read as it was written', async () => {
    expect(await loadCalibration(await saved(good))).toEqual(good);
  });

  it.each([
    ['{', /is not valid JSON/],
    [{ ...good, n: 0 }, /is not a calibration \(/],
    [{ ...good, curve: { method: 'isotonic', x: [1, 3, 2], y: [1, 1, 4] } }, /must not fall/],
    [{ ...good, curve: { method: 'isotonic', x: [1, 2], y: [1, 1, 4] } }, /2 x values and 3 y values/],
  ])('is refused if it is %j', async (value, message) => {
    const path = await saved(value);
    await expect(loadCalibration(path)).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
    await expect(loadCalibration(path)).rejects.toThrow(message);
  });

  it('that does not exist is CONFIG_NOT_FOUND', async () => {
    await expect(loadCalibration(join(folder, 'none.json'))).rejects.toMatchObject({ code: 'CONFIG_NOT_FOUND' });
  });

  it('applies only to scores of its own version', async () => {
    const file = await loadCalibration(await saved(good));
    expect(createCalibrator(file, 'abc').rowVersion).toMatch(/^abc\+[0-9a-f]{16}$/);
    expect(() => createCalibrator(file, 'other')).toThrow(/create a matching calibration/);
  });
});
