import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createMediaFinder } from '../../src/datasets/media-finder.js';

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'qalign-finder-'));
  await mkdir(join(root, 'a', 'b'), { recursive: true });
  await writeFile(join(root, 'a', 'b', 'I01.BMP'), '');
  await writeFile(join(root, 'plain.png'), '');
});
afterAll(() => rm(root, { recursive: true, force: true }));

it('finds a file by its path, or by its base name in any subfolder, ignoring case', () => {
  const finder = createMediaFinder(root, '');
  expect(finder.find('plain.png')).toBe(join(root, 'plain.png'));
  expect(finder.find('i01.bmp')).toBe(join(root, 'a', 'b', 'I01.BMP'));
  expect(finder.find('none.png')).toBeUndefined();
});

it('finds a file in any Unicode form, the exact one first, and never a hidden copy', async () => {
  const place = join(root, 'forms');
  const [composed, apart] = ['\u00e9t\u00e9.png', 'e\u0301te\u0301.png'];
  await mkdir(join(place, '.Trash'), { recursive: true });
  await mkdir(join(place, '.thumbnails'));
  for (const file of [apart, `.Trash/${apart}`, `.thumbnails/${apart}`, `._${apart}`])
    await writeFile(join(place, file), '');
  expect(createMediaFinder(place, '').find(composed)).toBe(join(place, apart));
  expect(createMediaFinder(root, '').find(composed.toUpperCase())).toBe(join(place, apart));
  expect(createMediaFinder(place, '').find(`.Trash/${apart}`)).toBe(join(place, '.Trash', apart));
  await writeFile(join(place, composed), '');
  expect(createMediaFinder(place, '').find(composed)).toBe(join(place, composed));
  await rm(place, { recursive: true });
});

it('handles circular links and broken links', async () => {
  await symlink(root, join(root, 'a', 'round'));
  await symlink('itself', join(root, 'itself'));
  await symlink('gone', join(root, 'dangling'));
  const finder = createMediaFinder(root, 'itself');
  expect(finder.find('i01.bmp')).toBe(join(root, 'a', 'b', 'I01.BMP'));
  expect(finder.find('none.png')).toBeUndefined();
});

it('continues while other programs delete folders', async () => {
  const busy = join(root, 'busy');
  await mkdir(busy);
  let going = true;
  const churn = (async () => {
    while (going) {
      await mkdir(join(busy, 'x', 'y'), { recursive: true });
      await rm(join(busy, 'x'), { recursive: true, force: true });
    }
  })();
  try {
    for (let n = 0; n < 300; n++) {
      expect(createMediaFinder(root, '').find('i01.bmp')).toBe(join(root, 'a', 'b', 'I01.BMP'));
      if (n % 10 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
  } finally {
    going = false;
    await churn;
  }
});

it('says that a file is no media folder', () => {
  expect(() => createMediaFinder(join(root, 'plain.png'), '')).toThrow(/is not a folder/);
});
