import { copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { packageRoot } from '../../../src/base/package-root.js';
import { localDatasets } from '../../../src/recipes/reproduce/local-data.js';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'qalign-at-hand-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** As BIQ2021's file is, with scores of our own. */
async function ratings(rated: readonly string[], pictures: readonly string[]): Promise<string> {
  const media = await mkdtemp(join(folder, 'media-'));
  await mkdir(join(media, 'biq2021', 'images'), { recursive: true });
  const rows = rated.map((name, i) => `${name},${((i * 7) % 3000) / 3000}\n`);
  await writeFile(join(media, 'biq2021', 'train_3000.csv'), `Image Name,MOS\n${rows.join('')}`);
  for (const name of pictures) await writeFile(join(media, 'biq2021', 'images', name), '');
  return media;
}

const biq2021 = async (media: string): Promise<{ ids: string[]; note: string }> => {
  const { sets, notes } = await localDatasets({ media, data: join(folder, 'none') }, join(folder, 'out'));
  const at = sets.findIndex(({ name }) => name === 'biq2021');
  return { ids: at < 0 ? [] : sets[at]!.records.map(({ id }) => id), note: notes[at] ?? '' };
};

it('uses only rated pictures that the recipe of the small model excludes from training', async () => {
  const names = (await readFile(join(packageRoot, 'configs/datasets/splits/biq2021-dev.txt'), 'utf8'))
    .trim()
    .split('\n');
  const { ids, note } = await biq2021(await ratings(['p1.jpg', ...names, 'p2.jpg'], ['p1.jpg', ...names.slice(0, 7)]));
  expect(ids).toEqual(names.slice(0, 7));
  expect(note).toContain('the 7 pictures that configs/train/nano.yaml does not train on');
}, 60_000);

it('reports a set with only training pictures, and skips a set without pictures', async () => {
  const names = Array.from({ length: 100 }, (_, i) => `p${i}.jpg`);
  const { ids, note } = await biq2021(await ratings(names, ['p3.jpg', 'p4.jpg']));
  expect(ids).toEqual(['p3.jpg', 'p4.jpg']);
  expect(note).toContain('that configs/train/nano.yaml trains on, so the figures of that model are optimistic');
  expect((await biq2021(await ratings(names, []))).ids).toEqual([]);
}, 60_000);

it('skips unreadable labels and damaged pictures, without an effect on the rest', async () => {
  const media = await mkdtemp(join(folder, 'damaged-'));
  for (const name of ['kodak', 'biq2021', 'videos']) await mkdir(join(media, name));
  await writeFile(join(media, 'kodak', 'a.png'), 'no picture');
  await copyFile(join(packageRoot, 'test/fixtures/pictures/pristine.jpg'), join(media, 'kodak', 'b.jpg'));
  await writeFile(join(media, 'biq2021', 'train_3000.csv'), 'Image Name,MOS\nx.jpg,abc\n');
  await writeFile(join(media, 'videos', 'labels.csv'), 'dataset,file,mos\n"KoNViD-1k,a.mp4,3\n');
  const { sets, notes } = await localDatasets({ media, data: join(folder, 'none') }, join(folder, 'out-damaged'));
  expect(sets.map(({ name, records }) => [name, records[0]!.id])).toEqual([['series', 'b.png']]);
  expect(notes.slice(1)).toEqual([
    expect.stringMatching(/^biq2021 is left out: .*"abc"/) as string,
    expect.stringMatching(/^konvid-clips is left out: /) as string,
  ]);
}, 60_000);
