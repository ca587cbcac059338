import { existsSync, readdirSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { basename, extname, join } from 'node:path';
import { CsvError, parse } from 'csv-parse/sync';
import type { DatasetRecord } from '../../../bridge/protocol/record.js';
import { QalignError } from '../../base/errors.js';
import { distort } from '../../media/distort/distort.js';
import { BASIC_FAMILIES, strengthAt } from '../../media/distort/families.js';
import { readPicture, writePng } from '../../media/write-picture.js';
import type { RawPicture } from '../../media/resample/resample.js';
import { packageRoot, sampleMedia } from '../../base/package-root.js';
import { levelFinder, PAPER_RULE } from '../../scoring/level-conversion.js';
import { convertDataset } from '../data/convert.js';
import { readRecordSet, recordSet, type RecordSet } from '../evaluate/records.js';

/** Record sets of local pictures, for machines without the data sets of the paper. */
export interface LocalDatasets {
  readonly sets: readonly RecordSet[];
  /** A description of each set. */
  readonly notes: readonly string[];
}

/** Names of the pictures that choose the recipe of the bundled model. It is not trained on them. */
const HELD_OUT = join(packageRoot, 'configs/datasets/splits/biq2021-dev.txt');
const SOURCES = 6;
const STEPS = 3;

/**
 * Finds the sets that can be evaluated in a folder of pictures. These are `biq2021/` and `videos/`, if they have
 * labels, and a generated series of distorted pictures. The series uses up to six pictures of `kodak/`, of the folder
 * itself, or the samples of the repository.
 * @param out folder to which the series is written
 * @throws QalignError MEDIA_NOT_FOUND if `media` does not exist
 */
export async function localDatasets(
  { media, data }: { media?: string | undefined; data?: string | undefined },
  out: string,
  signal?: AbortSignal,
): Promise<LocalDatasets> {
  if (media !== undefined && !existsSync(media))
    throw new QalignError(
      'MEDIA_NOT_FOUND',
      `The folder ${media} does not exist; use --media with a folder of pictures.`,
    );
  const notes: string[] = [];
  const tried = async (name: string, find: () => Promise<LocalDataset | undefined>): Promise<LocalDataset[]> => {
    const found = await find().catch((error: unknown) => {
      notes.push(`${name} is left out: ${problemWith(error).message}`);
      return undefined;
    });
    return found === undefined ? [] : [found];
  };
  const found = [
    ...(await tried(
      'biq2021',
      async () => (await biq2021HeldOut(data ?? 'data')) ?? (media === undefined ? undefined : await biq2021(media)),
    )),
    ...(await tried('konvid-clips', async () => (media === undefined ? undefined : konvidClips(media)))),
    await series(media, out, signal),
  ];
  return { sets: found.map(({ set }) => set), notes: [...found.map(({ note }) => note), ...notes] };
}

/** Returns an error in the labels of a data set, so that the set is left out. Throws any other error. */
function problemWith(error: unknown): Error {
  if (error instanceof QalignError && error.family === 'dataset') return error;
  if (error instanceof CsvError) return error;
  throw error;
}

interface LocalDataset {
  readonly set: RecordSet;
  readonly note: string;
}

/** The pictures of a label file of BIQ2021 that the recipe of the bundled model does not train on. */
async function biq2021(media: string): Promise<LocalDataset | undefined> {
  const folder = join(media, 'biq2021');
  const labels = join(folder, 'train_3000.csv');
  if (!existsSync(labels)) return undefined;
  let text = '';
  await convertDataset({
    dataset: labels,
    own: { name: 'biq2021', imageColumn: 'Image Name', scoreColumn: 'MOS' },
    range: [0, 1],
    out: (part) => void (text += part),
  });
  const rated = text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as DatasetRecord);
  const names = new Set((await readFile(HELD_OUT, 'utf8')).split('\n'));
  const isHere = ({ media: name }: DatasetRecord): boolean => existsSync(join(folder, 'images', name));
  const held = rated.filter((one) => names.has(one.media) && isHere(one));
  const here = held.length > 0 ? held : rated.filter(isHere);
  if (here.length === 0) return undefined;
  const records = here.map((one) => ({ ...one, media: join('images', one.media) }));
  const what =
    held.length > 0
      ? `the ${held.length} pictures that configs/train/nano.yaml does not train on`
      : `${here.length} pictures that configs/train/nano.yaml trains on, so the figures of that model are optimistic`;
  return {
    set: recordSet('biq2021', labels, records, folder),
    note: `biq2021: ${what}; mean opinion scores on 0–1, levels by Eq. 1 over 0–1.`,
  };
}

/** The pictures that the recipe of the bundled model does not train on. */
async function biq2021HeldOut(data: string): Promise<LocalDataset | undefined> {
  const file = join(data, 'biq2021', 'dev.jsonl');
  if (!existsSync(file)) return undefined;
  const set = await readRecordSet({
    name: 'biq2021',
    records: file,
    root: null,
    split: null,
    role: 'test',
    paper: null,
  });
  return set.media.every((path) => existsSync(path))
    ? {
        set,
        note: `biq2021: the ${set.records.length} pictures of ${file}, which configs/train/nano.yaml does not train on; mean opinion scores on 0–1.`,
      }
    : undefined;
}

async function konvidClips(media: string): Promise<LocalDataset | undefined> {
  const labels = join(media, 'videos', 'labels.csv');
  if (!existsSync(labels)) return undefined;
  const rows = (await readCsv(labels)).filter(
    (row) => row['dataset'] === 'KoNViD-1k' && existsSync(join(media, 'videos', row['file'] ?? '')),
  );
  if (rows.length < 3) return undefined;
  const levelOf = levelFinder(PAPER_RULE, { min: 1, max: 5 });
  const records = rows.map((row, i) =>
    record({
      id: row['file']!,
      media: row['file']!,
      dataset: 'konvid1k',
      mos: Number(row['mos']),
      level: PAPER_RULE.names[levelOf(Number(row['mos']))!]!,
      row: i + 2,
      file: 'labels.csv',
      kind: 'video',
    }),
  );
  return {
    set: recordSet('konvid-clips', labels, records, join(media, 'videos')),
    note: `konvid-clips: ${records.length} clips of KoNViD-1k with their scores; too few to compare models.`,
  };
}

/** All kinds of distortion in increasing strength. The value used as MOS is 5 − 4 · strength, not a human rating. */
async function series(media: string | undefined, out: string, signal: AbortSignal | undefined): Promise<LocalDataset> {
  const sources = await sourcePictures(media);
  const folder = join(out, 'series');
  const records: DatasetRecord[] = [];
  const levelOf = levelFinder(PAPER_RULE, { min: 1, max: 5 });
  const add = (name: string, group: string, mos: number): void => {
    records.push({
      ...record({
        id: name,
        media: name,
        dataset: 'series',
        mos,
        level: PAPER_RULE.names[levelOf(mos)!]!,
        row: records.length + 1,
        file: 'series',
      }),
      group,
    });
  };
  for (const [number, { path, picture }] of sources.entries()) {
    const group = basename(path, extname(path));
    const write = async (name: string, make: () => Promise<typeof picture>): Promise<void> => {
      signal?.throwIfAborted();
      if (!existsSync(join(folder, name))) await writePng(join(folder, name), await make());
    };
    await write(`${group}.png`, async () => picture);
    add(`${group}.png`, group, 5);
    for (const kind of BASIC_FAMILIES) {
      for (let step = 1; step <= STEPS; step++) {
        const name = `${group}-${kind}-${step}.png`;
        await write(name, () => distort(picture, kind, strengthAt(kind, (step - 0.5) / STEPS), number));
        add(name, group, 5 - (4 * step) / STEPS);
      }
    }
  }
  const note = `series: ${records.length} pictures, generated from ${sources.length} by ${BASIC_FAMILIES.length} kinds of distortion in ${STEPS} strengths. Its "MOS" is 5 − 4 · strength, not a human rating. The recipe configs/train/nano.yaml trains on distortions of this kind, so the figures of that model are optimistic.`;
  return { set: recordSet('series', folder, records, folder), note };
}

interface SourcePicture {
  readonly path: string;
  readonly picture: RawPicture;
}

/** The first readable pictures of `kodak/`, otherwise of the folder itself, otherwise of the samples. */
async function sourcePictures(media: string | undefined): Promise<SourcePicture[]> {
  for (const folder of media === undefined ? [] : [join(media, 'kodak'), media]) {
    if (!existsSync(folder)) continue;
    const names = readdirSync(folder)
      .filter((name) => /^[^.].*\.(png|jpe?g|webp)$/i.test(name))
      .sort();
    const found: SourcePicture[] = [];
    for (const name of names) {
      const path = join(folder, name);
      const picture = await readPicture(path).catch(orUndefined);
      if (picture !== undefined) found.push({ path, picture });
      if (found.length === SOURCES) break;
    }
    if (found.length > 0) return found;
  }
  const path = join(sampleMedia, 'pristine.jpg');
  return [{ path, picture: await readPicture(path) }];
}

/** Skips a damaged picture, or a folder with the name of a picture. */
function orUndefined(error: unknown): undefined {
  if (error instanceof QalignError && error.family === 'media') return undefined;
  if ((error as NodeJS.ErrnoException).code === undefined || error instanceof QalignError) throw error;
  return undefined;
}

function record({
  id,
  media,
  dataset,
  mos,
  level,
  row,
  file,
  kind = 'image',
}: {
  id: string;
  media: string;
  dataset: string;
  mos: number;
  level: string;
  row: number;
  file: string;
  kind?: 'image' | 'video';
}): DatasetRecord {
  return {
    id,
    media,
    kind,
    task: 'quality',
    dataset,
    mos,
    level,
    question: `<|image|>How would you rate the quality of this ${kind}?`,
    answer: `The quality of the ${kind} is ${level}.`,
    split: 'test',
    source: { file, row },
  };
}

async function readCsv(path: string): Promise<Record<string, string>[]> {
  return parse(await readFile(path, 'utf8'), { columns: true, bom: true, skip_empty_lines: true });
}
