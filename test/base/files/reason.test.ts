import { mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { reasonOf } from '../../../src/base/files/reason.js';
import { loadConfig } from '../../../src/config/load.js';
import { ServeConfig } from '../../../src/config/serve.js';
import { openLabels } from '../../../src/datasets/read/text.js';
import { loadCalibration } from '../../../src/recipes/evaluate/calibration-file.js';
import { readPredictions } from '../../../src/recipes/evaluate/predictions.js';
import { readRecords } from '../../../src/recipes/train/records.js';

const folder = await mkdtemp(join(tmpdir(), 'qalign-'));
const of = (path: string): Promise<string> => readFile(path).then(String, reasonOf);

describe('why a file cannot be read', () => {
  it('is a clause without the path and the system call', async () => {
    await writeFile(join(folder, 'file'), '');
    expect(await of(join(folder, 'none'))).toBe('the file or folder does not exist');
    expect(await of(folder)).toBe('it is a folder');
    expect(await of(join(folder, 'file', 'below'))).toBe('a part of its path is not a folder');
    expect(reasonOf(Object.assign(new Error(), { code: 'ENOENT', syscall: 'mkdir' }))).toBe(
      'a folder cannot be created there',
    );
    expect(reasonOf(new Error('quotes are not closed'))).toBe('quotes are not closed');
    expect(reasonOf('stopped')).toBe('stopped');
  });

  const none = join(folder, 'none.jsonl');
  it.each<[string, (path: string) => Promise<unknown>]>([
    ['records', (path) => readRecords([path], null)],
    ['predictions', (path) => readPredictions(path)],
    ['calibration', loadCalibration],
    ['labels', openLabels],
    ['configuration', (path) => loadConfig(ServeConfig, path)],
  ])('is given in words: %s', async (_, read) => {
    for (const path of [none, folder]) {
      const message = await read(path).then(String, (error: Error) => error.message);
      expect(message).not.toMatch(/ENOENT|EISDIR/);
      expect(message.split(path)).toHaveLength(2);
      expect(message).toMatch(/does not exist|no such file|no configuration|it is a folder|is no file|is not a file/);
    }
  });
});
