import { copyFile, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { packageRoot } from '../../../src/base/package-root.js';
import { readRecords } from '../../../src/datasets/records.js';
import { localDatasets } from '../../../src/recipes/reproduce/local-data.js';
import { convertDataset } from '../../../src/recipes/data/convert.js';
import { splitRecords } from '../../../src/recipes/data/split.js';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'qalign-at-hand-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** As BIQ2021's file is, with scores of our own: row i has (i · 7 mod 3000) / 3000. */
async function ratings(rows: number, pictures: readonly number[]): Promise<string> {
  const media = await mkdtemp(join(folder, 'media-'));
  await mkdir(join(media, 'biq2021', 'images'), { recursive: true });
  await writeFile(
    join(media, 'biq2021', 'train_3000.csv'),
    `Image Name,MOS\n${Array.from({ length: rows }, (_, i) => `p${i}.jpg,${((i * 7) % 3000) / 3000}`).join('\n')}\n`,
  );
  for (const i of pictures) await writeFile(join(media, 'biq2021', 'images', `p${i}.jpg`), '');
  return media;
}

const biq2021 = async (media: string): Promise<{ ids: string[]; note: string }> => {
  const { sets, notes } = await localDatasets({ media, data: join(folder, 'none') }, join(folder, 'out'));
  const at = sets.findIndex(({ name }) => name === 'biq2021');
  return { ids: at < 0 ? [] : sets[at]!.records.map(({ id }) => id), note: notes[at] ?? '' };
};

it('uses only rated pictures that the recipe of the small model excludes from training, with the split of "dataset split"', async () => {
  const pictures = Array.from({ length: 60 }, (_, i) => i * 50);
  const media = await ratings(3000, pictures);
  // the commands of configs/models/nano/README.md
  await convertDataset({
    dataset: join(media, 'biq2021', 'train_3000.csv'),
    own: { name: 'biq2021', imageColumn: 'Image Name', scoreColumn: 'MOS' },
    range: [0, 1],
    questions: 'image-quality',
    softLabels: 'none',
    out: join(folder, 'biq2021'),
  });
  await splitRecords({
    records: join(folder, 'biq2021', 'all.jsonl'),
    parts: { dev: 500, train: 'rest' },
    seed: 1,
    out: join(folder, 'split'),
  });
  const held = new Set((await readRecords(join(folder, 'split', 'dev.jsonl'))).map(({ id }) => id));
  const { ids, note } = await biq2021(media);
  expect(ids).toEqual(pictures.map((i) => `p${i}.jpg`).filter((id) => held.has(id)));
  expect(ids.length).toBeGreaterThan(3);
  expect(note).toContain(`the ${ids.length} pictures that configs/train/nano.yaml does not train on`);
}, 60_000);

it('reports a set with only training pictures, and skips a set without pictures', async () => {
  const { ids, note } = await biq2021(await ratings(100, [3, 4]));
  expect(ids).toEqual(['p3.jpg', 'p4.jpg']);
  expect(note).toContain('that configs/train/nano.yaml trains on, so the figures of that model are optimistic');
  expect((await biq2021(await ratings(100, []))).ids).toEqual([]);
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
