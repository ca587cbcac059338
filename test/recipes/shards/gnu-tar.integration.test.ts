import { execFile } from 'node:child_process';
import { link, mkdir, mkdtemp, open, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readWebDataset } from '../../../src/recipes/shards/read/web-dataset.js';
import { chunksOf, collect, picture } from './make-shards.js';

const OPTIONS = { allowUrls: false, most: 1 << 24 };
const run = promisify(execFile);
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'qalign-members-'));
});
afterAll(() => rm(folder, { recursive: true }));

describe('an archive of GNU tar', () => {
  it('with links and sparse files of every form has an error for each of them', async () => {
    const files = join(folder, 'files');
    await mkdir(files);
    await writeFile(join(files, 'a.ppm'), picture(1));
    await link(join(files, 'a.ppm'), join(files, 'b.ppm'));
    await symlink('a.ppm', join(files, 'c.ppm'));
    const sparse = await open(join(files, 'd.ppm'), 'w');
    // more pieces than the header and one block of the map hold
    for (let at = 0; at < 40; at++) await sparse.write(picture(2), 0, 100, at * (1 << 17));
    await sparse.close();
    await writeFile(join(files, 'e.ppm'), picture(5));
    const forms = ['--format=gnu', ...['0.0', '0.1', '1.0'].map((one) => `--format=pax --sparse-version=${one}`)];
    for (const form of forms) {
      const archive = join(folder, 'made.tar');
      await run('tar', ['--sort=name', '--sparse', ...form.split(' '), '-cf', archive, '-C', files, '.']);
      const found = await collect(readWebDataset(chunksOf(await readFile(archive), 1 << 16), 'x.tar', OPTIONS));
      expect(
        found.map(({ key, source }) => [key, /hard|symbolic|sparse/.exec(source.error?.message ?? '')?.[0]]),
      ).toEqual([
        ['a', undefined],
        ['b', 'hard'],
        ['c', 'symbolic'],
        ['d', 'sparse'],
        ['e', undefined],
      ]);
      expect(found[4]!.source.media).toEqual(picture(5));
    }
  });
});
