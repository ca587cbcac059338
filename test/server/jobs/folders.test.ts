import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { createLogger } from '../../../src/base/logger.js';
import { createJobFolders, type JobFolders } from '../../../src/server/jobs/folders.js';
import { storedJob } from './stored-job.js';

const id = (digit: number): string => `job_${String(digit).repeat(24)}`;

let root: string;
let warnings: string[];
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'qalign-folders-'));
  warnings = [];
  for (const name of [id(1), id(2), `${id(3)}.part-0123456789ab`, 'kept']) await mkdir(join(root, name));
});
afterEach(() => rm(root, { recursive: true, force: true }));

/** Folders of a store that has job 1 and deletes job 2. */
const foldersOf = (keepDays: number | null, removeKept: (seconds: number) => string[] = () => [id(2)]): JobFolders =>
  createJobFolders({
    root,
    store: { get: (wanted) => (wanted === id(1) ? storedJob({ id: wanted }) : undefined), removeKept },
    keepDays,
    log: createLogger((_level, message) => void warnings.push(message), 'debug'),
  });

it('removes only drafts and jobs that are not in the store', async () => {
  foldersOf(null).removeUnknown();
  expect((await readdir(root)).sort()).toEqual([id(1), 'kept'].sort());
});

it('finds nothing to remove if no job exists yet', async () => {
  await rm(root, { recursive: true });
  expect(() => foldersOf(null).removeUnknown()).not.toThrow();
});

it('removes jobs after keep_days, if it is set', async () => {
  const asked: number[] = [];
  const forget = (seconds: number): string[] => {
    asked.push(seconds);
    return [id(2)];
  };
  foldersOf(null, forget).removeOld();
  expect(asked).toEqual([]);
  foldersOf(2, forget).removeOld();
  expect(asked).toEqual([2 * 86_400]);
  expect(await readdir(root)).not.toContain(id(2));
  expect(await readdir(root)).toContain(id(1));
});

it('continues when old jobs cannot be removed', () => {
  foldersOf(1, () => {
    throw new Error('the database is locked');
  }).removeOld();
  expect(warnings).toEqual(['old jobs were not removed']);
});
