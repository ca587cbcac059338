import { createHash } from 'node:crypto';
import { appendFile, mkdtemp, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  openPredictions,
  readPredictions,
  type Prediction,
  type PredictionHeader,
} from '../../../src/recipes/evaluate/predictions.js';

let folder = '';
beforeAll(async () => void (folder = await mkdtemp(join(tmpdir(), 'qalign-predictions-'))));
afterAll(() => rm(folder, { recursive: true }));

const header: PredictionHeader = {
  format: 'qalign-predictions/2',
  dataset: 'd',
  records_sha256: 'ab'.repeat(32),
  n: 4,
  model: { id: 'm', revision: 'local', weights_sha256: 'cd'.repeat(32), precision: 'fp32', untrained: true },
  prompt: { name: 'default', text: 'x' },
  preprocessing: {
    size: 56,
    pad: [122, 116, 104],
    resize: 'pillow-bicubic',
    auto_orient: false,
    fps: null,
    max_frames: null,
    frame_rule: 'auto',
  },
  score_version: '0123456789abcdef',
};
const line = (index: number): Prediction => ({
  index,
  id: `é${index}.png`,
  mos: 10 * index,
  mos_level: 'good',
  score: 1 + index / 3,
  level: 'poor',
  logits: [1, 2, 3, 4, index],
  level_mass: 0.5,
});

async function written(name: string, indices: readonly number[]): Promise<string> {
  const path = join(folder, name);
  const writer = await openPredictions(path, header);
  for (const index of indices) await writer.write(line(index));
  await writer.close();
  return path;
}

describe('predictions', () => {
  it('are read back bit-equal', async () => {
    const table = await readPredictions(await written('whole.jsonl', [2, 0, 1]));
    expect(table.header).toEqual(header);
    expect([...table.state]).toEqual([1, 1, 1, 0]);
    expect(table.ids.slice(0, 3)).toEqual(['é0.png', 'é1.png', 'é2.png']);
    expect([...table.scores.slice(0, 3)]).toEqual([1, 1 + 1 / 3, 1 + 2 / 3]);
    expect([...table.logits.slice(5, 10)]).toEqual([1, 2, 3, 4, 1]);
    expect([table.mos[2], table.mosLevel[2], table.level[2]]).toEqual([20, 1, 3]);
  });

  it('cut at any byte are continued: complete lines stay, the rest is predicted again', async () => {
    const path = await written('cut.jsonl', [0, 1, 2, 3]);
    const whole = await readFile(path);
    for (let size = 0; size <= whole.length; size += 7) {
      const copy = join(folder, 'copy.jsonl');
      await writeFile(copy, whole);
      await truncate(copy, size);
      const writer = await openPredictions(copy, header);
      const lines = whole.subarray(0, size).toString('latin1').split('\n').length - 2;
      expect(writer.kept).toBe(Math.max(0, lines));
      for (const index of [0, 1, 2, 3]) if (!writer.has(index)) await writer.write(line(index));
      await writer.close();
      expect(await readFile(copy)).toEqual(whole);
    }
  });

  it('name the damaged line: one digit changed, a line lost in the middle of another', async () => {
    const path = await written('damaged.jsonl', [0, 1, 2, 3]);
    const text = await readFile(path, 'utf8');
    await writeFile(path, text.replace('"mos":20', '"mos":21'));
    await expect(readPredictions(path)).rejects.toMatchObject({
      code: 'PREDICTIONS_DAMAGED',
      message: expect.stringMatching(/Line 4 .*checksum/) as string,
    });
    await expect(openPredictions(path, header)).rejects.toMatchObject({ code: 'PREDICTIONS_DAMAGED' });
    const broken = text
      .split('\n')[0]!
      .replace(/,"checksum":.*/, '')
      .replace('"n":4', '"n":');
    await writeFile(
      path,
      `${broken},"checksum":"${createHash('sha256').update(broken).digest('hex').slice(0, 16)}"}\n`,
    );
    await expect(readPredictions(path)).rejects.toMatchObject({
      code: 'PREDICTIONS_DAMAGED',
      message: expect.stringContaining('Line 1') as string,
    });
    await writeFile(path, 'hello\n');
    await expect(readPredictions(path)).rejects.toMatchObject({ code: 'PREDICTIONS_DAMAGED' });
  });

  it('of another model or other labels are not continued', async () => {
    const path = await written('other.jsonl', [0]);
    await expect(openPredictions(path, { ...header, score_version: 'fedcba9876543210' })).rejects.toMatchObject({
      code: 'RESUME_MISMATCH',
      message: expect.stringContaining('fedcba9876543210') as string,
    });
    await expect(openPredictions(path, { ...header, records_sha256: '00'.repeat(32) })).rejects.toMatchObject({
      code: 'RESUME_MISMATCH',
      message: expect.stringContaining('labels') as string,
    });
  });

  it('that failed are retried, and the last line counts', async () => {
    const path = join(folder, 'failed.jsonl');
    const first = await openPredictions(path, header);
    await first.write({ index: 1, id: 'x', error: { code: 'MEDIA_CORRUPT', message: 'damaged' } });
    await first.close();
    expect((await readPredictions(path)).failures.get(1)?.error.code).toBe('MEDIA_CORRUPT');
    const second = await openPredictions(path, header);
    expect(second.has(1)).toBe(false);
    await second.write(line(1));
    await second.close();
    const table = await readPredictions(path);
    expect([table.state[1], table.failures.size]).toEqual([1, 0]);
    await appendFile(path, '{"index":9');
    expect((await readPredictions(path)).state[1]).toBe(1);
  });
});
