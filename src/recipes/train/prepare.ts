import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, open, readdir, readFile, rm, stat, statfs, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { TrainRecipe } from '../../config/train.js';
import type { Reach } from '../../base/files/reach.js';
import { withFileLock } from '../../base/files/file-lock.js';
import { asUnwritable, isWriteError, makeFolder } from '../../base/files/unwritable.js';
import { makeWhole } from '../../base/files/whole-file.js';
import { QalignError } from '../../base/errors.js';
import { formatGigabytes } from '../../base/units.js';
import type { MediaLimits } from '../../media/limits.js';
import { kindOfRecord } from '../../media/media-kind.js';
import type { PreparedMedia, Preparer, PrepareOptions } from '../../media/preparer.js';
import { frameBytes, type FrameForm } from '../../media/views/views.js';
import type { PromptTemplate } from '../../prompts/render.js';
import { createPercentGate } from '../../base/percent-gate.js';
import { orderedMap } from '../../base/ordered-map.js';
import { addRatedCopies, addSeries } from './added-records.js';
import { addedFrames, copyInputs } from './copy-plans.js';
import { clipFrames } from './chat-model.js';
import { readRecords, sampleFraction, type TrainRecord } from './records.js';
import { SplitWriter, type Written } from './record-writer.js';
import type { SplitForms } from './train-model.js';

export interface PrepareProgress {
  readonly split: string;
  readonly done: number;
  readonly total: number;
  readonly skipped: number;
}

export interface Skipped {
  readonly id: string;
  readonly media: string;
  readonly code: string;
  readonly message: string;
}

/** A picture or clip with warnings that is used for training. */
export interface Warned {
  readonly id: string;
  readonly media: string;
  /** Warnings as sentences. */
  readonly warnings: readonly string[];
}

export interface PreparedData {
  readonly folder: string;
  readonly bytes: number;
  readonly skipped: readonly Skipped[];
  readonly warned: readonly Warned[];
}

/** Increase it with every change of the frames or pixels of a file, so that existing prepared data are not reused. */
const PREPARED_VERSION = 2;

interface Split extends FrameForm {
  readonly records: readonly TrainRecord[];
}
export type Splits = Readonly<Record<'train' | 'dev', Split>>;

export interface PrepareData {
  /** Folder of the prepared data of all runs; created if it does not exist. */
  readonly cache: string;
  readonly recipe: TrainRecipe;
  readonly splits: Splits;
  readonly media: Pick<Preparer, 'width' | 'prepare' | 'copies'>;
  /** Limits of decoding a file, and the allowed location of files; default: DEFAULT_LIMITS. */
  readonly limits?: Partial<MediaLimits> | undefined;
  /**
   * Prompts that the records use in turn. If empty, each record uses its own question in the published training format.
   */
  readonly prompts?: readonly PromptTemplate[];
  readonly onProgress?: ((progress: PrepareProgress) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Reads the records of a recipe, with the form of their frames. @throws QalignError CONFIG_INVALID */
export async function loadSplits(recipe: TrainRecipe, forms: SplitForms, within?: Reach): Promise<Splits> {
  const all = await readRecords(recipe.data.train, recipe.data.root, within);
  const records = sampleFraction(all, recipe.data.fraction, recipe.seed);
  return {
    train: { records, ...forms.train },
    dev: { records: await readRecords(recipe.data.dev, recipe.data.root, within), ...forms.dev },
  };
}

/** Errors that affect all records. They end the preparation instead of skipping every clip. */
const FATAL = new Set(['FFMPEG_NOT_FOUND', 'CANCELLED']);

/** Size of the prepared pixels in bytes: exact for pictures, an upper bound for clips, which count as `max_frames`. */
export async function preparedBytes({ records, size, views }: Split, maxFrames: number): Promise<number> {
  let frames = 0;
  for await (const kind of orderedMap(records, 64, (record) => kindOfRecord(record).catch(() => 'image')))
    frames += kind === 'image' ? 1 : maxFrames;
  return frames * frameBytes(size, views);
}

/** Size in bytes of the frames that `data.distortions` and `data.rated_shapes` add to the training split. */
export const addedBytes = ({ records, size, views }: Split, recipe: TrainRecipe): number =>
  addedFrames(records.length, recipe) * frameBytes(size, views);

/**
 * Decodes every picture and clip once, before training. Writes `<split>.pixels` (flat uint8 frames), `<split>.jsonl`
 * and `manifest.json`. Damaged files are skipped. The manifest lists them and files with warnings. The folder becomes
 * visible when it is complete. Its name is a hash of its inputs (records, size and date of files, picture sizes), so
 * that later runs share it.
 *
 * @throws QalignError TRAINING_DATA_INVALID, TRAINING_DOES_NOT_FIT, OUTPUT_UNWRITABLE, FFMPEG_NOT_FOUND, PATH_FORBIDDEN
 */
export async function prepareData(options: PrepareData): Promise<PreparedData> {
  const { recipe, splits, cache, signal } = options;
  const { max_frames: frames, mos_range: range } = recipe.data;
  const { series, rated } = copyInputs(recipe);
  const files = [await withStats(splits.train), await withStats(splits.dev)];
  const inputs = [
    PREPARED_VERSION,
    files,
    frames,
    range,
    ...series,
    recipe.score_text,
    recipe.soft_label_sigma,
    options.prompts,
    ...(options.limits === undefined ? [] : [skippedBy(options.limits)]),
    ...rated,
  ];
  const folder = join(cache, createHash('sha256').update(JSON.stringify(inputs)).digest('hex').slice(0, 16));
  try {
    await makeFolder(cache, 'set QALIGN_RUNS to a writable one');
    await withFileLock(`${folder}.lock`, () => build(folder, options), signal === undefined ? {} : { signal });
  } catch (error) {
    throw asOutputError(error, cache);
  }
  const manifest = JSON.parse(await readFile(join(folder, 'manifest.json'), 'utf8')) as {
    splits: Record<string, { bytes: number }>;
    skipped: Skipped[];
    warned: Warned[];
  };
  return {
    folder,
    bytes: Object.values(manifest.splits).reduce((sum, split) => sum + split.bytes, 0),
    skipped: manifest.skipped,
    warned: manifest.warned,
  };
}

/** The limits that determine which files are skipped. */
const skippedBy = ({ maxBytes, maxPixels, maxFramePixels, maxFrames }: Partial<MediaLimits>): object => ({
  maxBytes,
  maxPixels,
  maxFramePixels,
  maxFrames,
});

/** Adds the size and date of each file, so that a replaced picture changes the hash. */
async function withStats({ records, size, views, preparation }: Split): Promise<unknown> {
  const rows: unknown[] = [];
  for await (const row of orderedMap(records, 64, async (record) => [
    record,
    await stat(record.media).then(
      ({ size: bytes, mtimeMs }) => [bytes, mtimeMs],
      () => null,
    ),
  ]))
    rows.push(row);
  return [rows, ...(preparation === undefined ? [size] : [preparation]), ...(views === undefined ? [] : [views])];
}

async function build(folder: string, options: PrepareData): Promise<void> {
  if (existsSync(join(folder, 'manifest.json'))) return;
  await sweep(folder);
  await makeWhole(folder, async (draft) => {
    await mkdir(draft);
    await checkDisk(draft, options);
    const written: Record<string, object> = {};
    const told: Told = { skipped: [], warned: [] };
    for (const split of ['train', 'dev'] as const) written[split] = await prepareSplit(draft, split, options, told);
    await writeFile(join(draft, 'manifest.json'), JSON.stringify({ splits: written, ...told }, null, 1));
  });
}

/** Deletes drafts with the names of earlier versions. The caller holds the lock, so no running process writes them. */
async function sweep(folder: string): Promise<void> {
  const [parent, name] = [join(folder, '..'), folder.split('/').at(-1)];
  for (const entry of await readdir(parent))
    if (entry.startsWith(`${name}.part-`)) await rm(join(parent, entry), { recursive: true, force: true });
}

async function checkDisk(folder: string, { splits, recipe }: PrepareData): Promise<void> {
  if (splits.train.preparation !== undefined) return; // sizes are known after decoding; the writer counts the bytes
  const needed = Object.values(splits).reduce(
    (sum, { records, size, views }) => sum + records.length * frameBytes(size, views),
    addedBytes(splits.train, recipe),
  );
  const disk = await statfs(folder);
  const room = Math.min(disk.bavail * disk.bsize, recipe.data.max_disk_gb * 1e9);
  if (needed > room) {
    throw new QalignError(
      'TRAINING_DOES_NOT_FIT',
      `Preparing the pictures needs ${formatGigabytes(needed)}, but ${formatGigabytes(room)} are free or allowed (data.max_disk_gb); set QALIGN_RUNS to a larger disk, raise the limit or use fewer records.`,
    );
  }
}

/** Files to report to the user. */
interface Told {
  readonly skipped: Skipped[];
  readonly warned: Warned[];
}

async function prepareSplit(
  folder: string,
  split: 'train' | 'dev',
  options: PrepareData,
  { skipped, warned }: Told,
): Promise<object> {
  const { records, ...form } = options.splits[split];
  const { media, recipe, limits, signal } = options;
  const prompts = split === 'dev' ? options.prompts?.slice(0, 1) : options.prompts;
  const writer = new SplitWriter(await open(join(folder, `${split}.pixels`), 'w'), form, recipe, prompts ?? []);
  const written: Written[] = [];
  const heard = createPercentGate();
  let done = 0;
  try {
    const ready = orderedMap(
      records,
      media.width,
      (record) => prepareOne(media, record, { ...form, ...framesOf(form, recipe), limits, signal }),
      signal,
    );
    for await (const result of ready) {
      const record = records[done++] as TrainRecord;
      if (result instanceof QalignError)
        skipped.push({ id: record.id, media: record.media, code: result.code, message: result.message });
      else {
        written.push(await writer.add(record, result));
        if (result.warnings.length > 0) warned.push({ id: record.id, media: record.media, warnings: result.warnings });
      }
      if (heard(split, done, records.length))
        options.onProgress?.({ split, done, total: records.length, skipped: skipped.length });
    }
    if (split === 'train') {
      const onProgress = (what: string, made: number, total: number): void =>
        options.onProgress?.({ split: what, done: made, total, skipped: skipped.length });
      const target = { writer, written, form, media, recipe, limits, onProgress, signal };
      await addRatedCopies(target);
      await addSeries(target);
    }
  } finally {
    await writer.close();
  }
  if (records.length > 0 && writer.rows.length === 0) {
    throw new QalignError(
      'TRAINING_DATA_INVALID',
      `None of the ${records.length} files of the ${split} split could be read; check data.root. First error: ${skipped.at(-records.length)?.message ?? ''}`,
    );
  }
  await writeFile(join(folder, `${split}.jsonl`), writer.rows.map((row) => `${row}\n`).join(''));
  return writer.summary();
}

/** How the frames of a clip are chosen. */
const framesOf = (form: FrameForm, recipe: TrainRecipe): Pick<PrepareOptions, 'maxFrames' | 'frameRule'> =>
  form.preparation === undefined ? { maxFrames: recipe.data.max_frames } : clipFrames(recipe);

async function prepareOne(
  media: Pick<Preparer, 'prepare'>,
  record: TrainRecord,
  options: PrepareOptions,
): Promise<PreparedMedia | QalignError> {
  try {
    return await media.prepare(
      { media: record.media, kind: await kindOfRecord(record, options.limits?.within) },
      options,
    );
  } catch (error) {
    if (error instanceof QalignError && error.family === 'media' && !FATAL.has(error.code)) return error;
    throw error;
  }
}

function asOutputError(error: unknown, folder: string): unknown {
  if (!isWriteError(error)) return error;
  return asUnwritable(
    error,
    ({ code }) =>
      `The prepared pictures cannot be written to ${folder} (${code}); free disk space, or set QALIGN_RUNS to a larger disk.`,
  );
}
