import { copyFile, mkdir, mkdtemp, readdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { checkConfig } from '../../../src/config/load.js';
import { TrainRecipe } from '../../../src/config/train.js';
import { QalignError } from '../../../src/base/errors.js';
import { prepareImage } from '../../../src/media/image.js';
import { extractFrames } from '../../../src/media/video/frame-folder.js';
import { packageRoot } from '../../../src/base/package-root.js';
import { createPreparer, type Preparer } from '../../../src/media/preparer.js';
import { preparedBytes, prepareData, type PreparedData } from '../../../src/recipes/train/prepare.js';
import { readRecords, requireUsable } from '../../../src/recipes/train/records.js';

const PICTURES = join(packageRoot, 'test/fixtures/pictures');
const SIZE = 56;
let folder: string;
let media: Preparer;

const recipeOf = (changes: object = {}, data: object = {}): TrainRecipe =>
  checkConfig(
    TrainRecipe,
    {
      name: 'x',
      model: 'm',
      data: { train: [join(folder, 'r.jsonl')], ...data },
      learning_rates: { default: 1 },
      ...changes,
    },
    'test',
  ) as TrainRecipe;
const row = (id: string, changes: object = {}): object => ({
  id,
  media: id,
  question: 'How is it?\n<|image|>',
  answer: 'The quality of the image is good.',
  level: 'good',
  mos: 4,
  ...changes,
});
const write = (rows: readonly object[], name = 'r.jsonl'): Promise<void> =>
  writeFile(join(folder, name), rows.map((entry) => `${JSON.stringify(entry)}\n`).join(''));
async function prepare(
  recipe = recipeOf(),
  by: Pick<Preparer, 'width' | 'prepare' | 'copies'> = media,
): Promise<PreparedData> {
  const records = await readRecords(recipe.data.train, recipe.data.root);
  return prepareData({
    cache: join(folder, 'cache'),
    recipe,
    splits: { train: { records, size: SIZE }, dev: { records: [], size: SIZE } },
    media: by,
  });
}
const rowsOf = async ({ folder: made }: PreparedData): Promise<Record<string, unknown>[]> =>
  (await readFile(join(made, 'train.jsonl'), 'utf8'))
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'qalign-prepare-'));
  media = createPreparer();
  for (const name of ['pristine.jpg', 'noisy.webp', 'pan.mp4'])
    await copyFile(join(PICTURES, name), join(folder, name));
  await extractFrames(join(folder, 'pan.mp4'), join(folder, 'frames'), { size: SIZE });
});
afterAll(async () => {
  await media.close();
  await rm(folder, { recursive: true, force: true });
});

describe('preparing data', () => {
  it('stores pictures, clips and folders of frames with the same pixels as in scoring', async () => {
    await write([
      row('pristine.jpg'),
      row('pan.mp4', { kind: 'video' }),
      row('frames', { kind: 'video' }),
      row('noisy.webp'),
    ]);
    const made = await prepare();
    const clip = await media.prepare({ media: join(folder, 'pan.mp4'), kind: 'video' }, { size: SIZE });
    const rows = await rowsOf(made);
    expect(rows.map((entry) => [entry['first_frame'], entry['frames']])).toEqual([
      [0, 1],
      [1, clip.frames],
      [1 + clip.frames, clip.frames],
      [1 + 2 * clip.frames, 1],
    ]);
    const pixels = await readFile(join(made.folder, 'train.pixels'));
    const frame = SIZE * SIZE * 3;
    expect(pixels.length).toBe((2 + 2 * clip.frames) * frame);
    expect(
      pixels.subarray(0, frame).equals((await prepareImage(join(folder, 'pristine.jpg'), { size: SIZE })).data),
    ).toBe(true);
    for (const place of [1, 1 + clip.frames])
      expect(pixels.subarray(place * frame, (place + clip.frames) * frame).equals(clip.data)).toBe(true);
    expect(clip.frames).toBeGreaterThan(1);
  });

  it('samples clips and folders equally, and checks the disk space first', async () => {
    await write([row('pan.mp4', { kind: 'video' }), row('frames', { kind: 'video' }), row('pristine.jpg')]);
    const recipe = recipeOf({}, { max_frames: 2 });
    const rows = await rowsOf(await prepare(recipe));
    expect(rows.map((entry) => entry['frames'])).toEqual([2, 2, 1]);
    expect(await preparedBytes({ records: await readRecords(recipe.data.train, null), size: SIZE }, 2)).toBe(
      5 * SIZE * SIZE * 3,
    );
  });

  it('is done once, and again when a file was replaced', async () => {
    await write([row('pristine.jpg')]);
    const first = await prepare();
    const before = await stat(join(first.folder, 'manifest.json'));
    expect((await prepare()).folder).toBe(first.folder);
    expect((await stat(join(first.folder, 'manifest.json'))).mtimeMs).toBe(before.mtimeMs);
    await utimes(join(folder, 'pristine.jpg'), 1, 1);
    expect((await prepare()).folder).not.toBe(first.folder);
  });

  it('removes files of a killed process, and shares the work of two concurrent runs', async () => {
    await write([row('noisy.webp')]);
    const made = await prepare();
    await rm(made.folder, { recursive: true });
    await mkdir(`${made.folder}.part-999999`);
    const both = await Promise.all([prepare(), prepare()]);
    expect(new Set(both.map((one) => one.folder))).toEqual(new Set([made.folder]));
    expect((await readdir(join(folder, 'cache'))).filter((name) => /part|lock/.test(name))).toEqual([]);
  });

  it('trains on files with warnings, and lists them', async () => {
    const thin = Buffer.concat([Buffer.from('P6\n3000 1\n255\n'), Buffer.alloc(9000, 7)]);
    await writeFile(join(folder, 'thin.ppm'), thin);
    await write([row('thin.ppm'), row('pristine.jpg')]);
    const made = await prepare();
    expect(made.warned).toEqual([
      { id: 'thin.ppm', media: join(folder, 'thin.ppm'), warnings: [expect.stringContaining('3000x1') as string] },
    ]);
    expect(await rowsOf(made)).toHaveLength(2);
  });

  it('adds series in drawn shapes and on screens, and rated copies with the rating of their picture', async () => {
    await write([row('pristine.jpg', { mos: 4.5 }), row('noisy.webp'), row('pan.mp4', { kind: 'video' })]);
    const data = {
      rated_shapes: 2,
      distortions: { pictures: 1, families: ['jpeg', 'warp', 'mixture'], per_picture: 2, shapes: true, screens: 0.5 },
    };
    const rows = await rowsOf(await prepare(recipeOf({ seed: 2 }, data)));
    const copies = rows.filter(({ id }) => String(id).includes('#shape-'));
    expect(copies.map(({ id, mos, level }) => [id, mos, level])).toEqual([
      ['pristine.jpg#shape-1', 4.5, 'good'],
      ['pristine.jpg#shape-2', 4.5, 'good'],
      ['noisy.webp#shape-1', 4, 'good'],
      ['noisy.webp#shape-2', 4, 'good'],
    ]);
    const series = rows.filter((made) => made['series'] !== undefined);
    expect(series.map(({ order }) => order)).toEqual([0, 1, 2, 3, 4, 0, 1, 2, 3, 4]);
    expect(new Set(series.map(({ first_frame: frame }) => frame)).size).toBe(10);
    expect(
      series.every(
        ({ id, dataset, mos }) =>
          String(id).startsWith('pristine.jpg#') && dataset === 'distortions' && mos === undefined,
      ),
    ).toBe(true);
    const any = { pictures: 2, families: ['saturate'], choose: 'any' };
    await sharp({ create: { width: 90, height: 80, channels: 3, background: '#777' } }).toFile(
      join(folder, 'grey.png'),
    );
    await write([row('grey.png')]);
    // more saturation of grey changes nothing, so there is no series
    expect(await rowsOf(await prepare(recipeOf({}, { distortions: any })))).toHaveLength(1);
  }, 60_000);

  it('skips, counts and lists damaged or missing files, but fails if all are', async () => {
    await writeFile(join(folder, 'bad.png'), 'no picture');
    await write([row('bad.png'), row('pristine.jpg'), row('gone.jpg')]);
    const made = await prepare();
    expect(made.skipped.map(({ id, code }) => [id, code])).toEqual([
      ['bad.png', 'MEDIA_UNSUPPORTED'],
      ['gone.jpg', 'MEDIA_NOT_FOUND'],
    ]);
    expect(await rowsOf(made)).toHaveLength(1);
    await write([row('bad.png'), row('gone.jpg')]);
    await expect(prepare()).rejects.toMatchObject({
      code: 'TRAINING_DATA_INVALID',
      message: expect.stringContaining('data.root') as string,
    });
  });

  it('fails if no clip can be read without ffmpeg, and if the disk is full', async () => {
    await write([row('pristine.jpg')]);
    await utimes(join(folder, 'pristine.jpg'), 2, 2);
    const failing = (error: Error): Pick<Preparer, 'width' | 'prepare' | 'copies'> => ({
      width: 2,
      prepare: () => Promise.reject(error),
      copies: () => Promise.reject(error),
    });
    await expect(prepare(recipeOf(), failing(new QalignError('FFMPEG_NOT_FOUND', 'No ffmpeg.')))).rejects.toMatchObject(
      { code: 'FFMPEG_NOT_FOUND' },
    );
    await expect(
      prepare(recipeOf(), failing(Object.assign(new Error('no space'), { code: 'ENOSPC' }))),
    ).rejects.toMatchObject({ code: 'OUTPUT_UNWRITABLE' });
    await expect(prepare(recipeOf({}, { max_disk_gb: 1e-6 }))).rejects.toMatchObject({ code: 'TRAINING_DOES_NOT_FIT' });
  });
});

describe('records', () => {
  it.each([
    [{ mos: '4' }, '/mos'],
    [{ answer: undefined }, 'answer'],
    [{ kind: 'audio' }, '/kind'],
    [{ level_probs: [0.5, 0.5] }, 'level_probs has 2 entries'],
  ])('with %j are refused with file and line', async (changes, where) => {
    await write([row('pristine.jpg'), row('noisy.webp', changes)], 'bad.jsonl');
    await expect(readRecords([join(folder, 'bad.jsonl')], null)).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.stringMatching(new RegExp(`bad.jsonl:2 .*${where}`)) as string,
    });
  });

  it('must have the fields that the recipe requires', async () => {
    await write([row('pristine.jpg', { dataset: 'koniq', mos: undefined })]);
    const records = await readRecords([join(folder, 'r.jsonl')], null);
    expect(() => requireUsable(records, recipeOf({ objective: { soft_label: 1 } }))).toThrow(/level_probs/);
    expect(() => requireUsable(records, recipeOf({ objective: { fidelity: 1 } }))).toThrow(/mos/);
    expect(() => requireUsable(records, recipeOf({}, { weights: { konik: 2 } }))).toThrow(/did you mean .*koniq/);
    expect(() => requireUsable(records, recipeOf({}, { weights: { koniq: 2 } }))).not.toThrow();
  });
});
