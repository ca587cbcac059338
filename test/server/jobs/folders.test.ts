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

/** Folders of a store that has the job 1, and forgets the job 2. */
const foldersOf = (keepDays: number | null, removeKept: (seconds: number) => string[] = () => [id(2)]): JobFolders =>
  createJobFolders({
    root,
    store: { get: (wanted) => (wanted === id(1) ? storedJob({ id: wanted }) : undefined), removeKept },
    keepDays,
    log: createLogger((_level, message) => void warnings.push(message), 'debug'),
  });

it('removes drafts and jobs that the store does not know, and nothing else', async () => {
  foldersOf(null).removeUnknown();
  expect((await readdir(root)).sort()).toEqual([id(1), 'kept'].sort());
});

it('finds nothing to remove where no job was made yet', async () => {
  await rm(root, { recursive: true });
  expect(() => foldersOf(null).removeUnknown()).not.toThrow();
});

it('removes jobs that were kept so many days, where days are set', async () => {
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

it('goes on where old jobs cannot be removed', () => {
  foldersOf(1, () => {
    throw new Error('the database is locked');
  }).removeOld();
  expect(warnings).toEqual(['old jobs were not removed']);
});
