import { dirname, resolve } from 'node:path';
import Type, { type Static } from 'typebox';
import { DatasetRecord } from '../../../bridge/protocol/record.js';
import { problemWith } from '../../../bridge/validate.js';
import type { TrainRecipe } from '../../config/train.js';
import { placeHash } from '../../base/random.js';
import { hint } from '../../base/suggest.js';
import { QalignError } from '../../base/errors.js';
import { readWithin, type Reach } from '../../base/files/reach.js';
import { LEVELS } from '../../scoring/levels.js';
import { leftOut, seriesSettings } from './copy-plans.js';
import { reasonOf } from '../../base/files/reason.js';

const { id, media, question, answer, ...others } = DatasetRecord.properties;

/**
 * A record for training: the fields of `DatasetRecord`, of which only four are required. Unknown keys are accepted,
 * because record files can have other readers.
 */
const TrainRow = Type.Object({ id, media, question, answer, ...Type.Partial(Type.Object(others)).properties });
type TrainRow = Static<typeof TrainRow>;

/** A record with a resolved media path. `dataset` defaults to the path of the record file. */
export type TrainRecord = Omit<TrainRow, 'dataset'> & { readonly dataset: string };

/**
 * Reads the records of JSONL files.
 * @param within allowed location of the opened files; default: anywhere
 * @throws QalignError CONFIG_NOT_FOUND, CONFIG_INVALID with file and line, PATH_FORBIDDEN
 */
export async function readRecords(
  files: readonly string[],
  root: string | null,
  within?: Reach,
): Promise<TrainRecord[]> {
  const records: TrainRecord[] = [];
  for (const file of files) {
    const bytes = await readWithin(file, within).catch((cause: Error) => {
      if (cause instanceof QalignError) throw cause;
      throw new QalignError(
        'CONFIG_NOT_FOUND',
        `The records ${file} cannot be read (${reasonOf(cause)}); create them with "qalign dataset convert".`,
        { cause },
      );
    });
    bytes
      .toString()
      .split('\n')
      .forEach((line, index) => {
        if (line.trim() !== '')
          records.push(readRecord(line, `${file}:${index + 1}`, root ?? dirname(resolve(file)), file));
      });
  }
  return records;
}

function readRecord(line: string, place: string, root: string, file: string): TrainRecord {
  let row: unknown;
  try {
    row = JSON.parse(line);
  } catch (cause) {
    throw new QalignError('CONFIG_INVALID', `${place} is not a training record: it is not valid JSON.`, { cause });
  }
  const problem = problemWith(TrainRow, row);
  if (problem !== undefined) throw new QalignError('CONFIG_INVALID', `${place} is not a training record (${problem}).`);
  const record = row as TrainRow;
  if (record.level_probs !== undefined && record.level_probs.length !== LEVELS.length) {
    throw new QalignError(
      'CONFIG_INVALID',
      `${place} is not a training record: level_probs has ${record.level_probs.length} entries, not ${LEVELS.length}.`,
    );
  }
  return { ...record, media: resolve(root, record.media), dataset: record.dataset ?? file };
}

/**
 * Checks that the records have the fields that the recipe needs, before hours of training.
 * @throws QalignError TRAINING_DATA_INVALID, CONFIG_INVALID
 */
export function requireUsable(records: readonly TrainRecord[], recipe: TrainRecipe): void {
  const { soft_label: soft, fidelity, series } = recipe.objective;
  const lacking = (what: string): never => {
    throw new QalignError(
      'TRAINING_DATA_INVALID',
      `No record of ${recipe.data.train.join(', ')} has ${what}; convert the data set with it, or set its weight in objective to 0.`,
    );
  };
  if (records.length === 0)
    throw new QalignError(
      'TRAINING_DATA_INVALID',
      `${recipe.data.train.join(', ')} have no records; create them with "qalign dataset convert".`,
    );
  if (soft > 0 && recipe.soft_label_sigma === null && !records.some((record) => record.level_probs !== undefined))
    lacking('level_probs, which objective.soft_label needs');
  if (fidelity > 0 && !records.some((record) => record.mos !== undefined))
    lacking('a mos, which objective.fidelity needs');
  if (recipe.score_text && !records.some((record) => /\d/.test(record.answer)))
    lacking('a number in its answer, which score_text needs (dataset convert --score-text)');
  const made = recipe.data.distortions !== null;
  if (series > 0 && !made && !records.some((record) => record.series !== undefined))
    lacking('a series, which objective.series needs (data.distortions creates them)');
  const families = seriesSettings(recipe)?.families ?? [];
  const unknown = leftOut(recipe).find((family) => !families.includes(family));
  if (unknown !== undefined)
    throw new QalignError(
      'CONFIG_INVALID',
      `data.leave_out names ${unknown}, which is not a family of data.distortions${hint(unknown, families)}.`,
    );
  const datasets = [...new Set(records.map(({ dataset }) => dataset)), ...(made ? ['distortions'] : [])];
  for (const name of Object.keys(recipe.data.weights)) {
    if (!datasets.includes(name))
      throw new QalignError(
        'CONFIG_INVALID',
        `data.weights names ${name}, but the records are of ${datasets.join(', ')}${hint(name, datasets)}.`,
      );
  }
}

/** A random subset with a seed, in the order of the file. */
export function sampleFraction<T>(rows: readonly T[], fraction: number, seed: number): T[] {
  if (fraction === 1) return [...rows];
  const keyed = rows.map((_, index) => ({ index, key: placeHash(seed, index) })).sort((a, b) => a.key - b.key);
  const kept = keyed.slice(0, Math.max(1, Math.round(rows.length * fraction))).map(({ index }) => index);
  return kept.sort((a, b) => a - b).map((index) => rows[index] as T);
}
