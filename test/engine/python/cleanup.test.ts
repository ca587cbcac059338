import { mkdir, mkdtemp, readdir, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { draftOf } from '../../../src/base/files/draft.js';
import { silentLogger } from '../../../src/base/logger.js';
import { removeUnused } from '../../../src/engine/python/cleanup.js';

/** Above the largest pid of Linux, 2²². */
const GONE = 4_194_305;
const [KEPT, OLD, USED] = ['a', 'b', 'c'].map((letter) => `venv-${letter.repeat(12)}`) as [string, string, string];

it('removes only environments unused for a week, and incomplete ones of dead processes', async () => {
  const cache = await mkdtemp(join(tmpdir(), 'qalign-cache-'));
  try {
    const living = draftOf(USED).path;
    const stay = [KEPT, USED, living, `${USED}.building-${process.pid}`, `${OLD}.lock`, 'venv-other', 'sha256'];
    const go = [OLD, `${USED}.building-${GONE}`, `${KEPT}.${GONE}-17-0123ab.part`];
    for (const name of [...stay, ...go]) await mkdir(join(cache, name));
    for (const name of [KEPT, OLD, USED]) await writeFile(join(cache, name, 'complete'), '');
    for (const name of [KEPT, OLD]) await utimes(join(cache, name, 'complete'), 0, 0);
    await removeUnused(cache, join(cache, KEPT), silentLogger);
    expect((await readdir(cache)).sort()).toEqual([...stay].sort());
  } finally {
    await rm(cache, { recursive: true, force: true });
  }
});
