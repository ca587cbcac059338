import { basename, dirname, resolve } from 'node:path';
import type { DatasetRecord } from '../../../bridge/protocol/record.js';
import { findLeaks, LEAK_KINDS, type Leak, type LeakItem, type LeakKind } from '../../datasets/leaks.js';
import { readRecords } from '../../datasets/records.js';
import { QalignError } from '../../base/errors.js';
import { surveyMedia, type Surveyed, type SurveyOptions } from './survey-media.js';

/** The records to check and the kinds of leaks to find. */
export interface CheckOptions extends SurveyOptions {
  /** JSONL files of records of one or several data sets. */
  readonly records: readonly string[];
  /** Folder to which media paths are relative; default: the folder of each file. */
  readonly media?: string | undefined;
  /**
   * Kinds of leaks to look for.
   * @default all
   */
  readonly kinds?: readonly LeakKind[] | undefined;
  /** Maximum Hamming distance of the 64-bit perceptual hashes of equal pictures; default 6. */
  readonly distance?: number | undefined;
}

/** Leaks between the sides: equal bytes, equal appearance, equal reference or equal base name. */
export interface CheckResult {
  /** The compared sides: a split, or a file without splits. */
  sides: { side: string; records: number }[];
  /** Pairs of records on two sides that share a picture or a reference. */
  leaks: Leak[];
  /** Leaks by kind. */
  counts: Record<LeakKind, number>;
  /** Records whose media could not be compared because they are missing or damaged. */
  not_compared: { id: string; file: string; code: string; message: string }[];
}

/**
 * Finds pictures that are on both sides of a split, within and across data sets.
 * @throws QalignError DATASET_*, USAGE if there is only one side
 * @example
 * ```ts
 * const { leaks, counts } = await checkDataset({ records: ['data/own/train.jsonl', 'data/own/dev.jsonl'] });
 * if (leaks.length > 0) console.error(counts);
 * ```
 */
export async function checkDataset({
  records: files,
  media,
  kinds = LEAK_KINDS,
  distance,
  signal,
  onProgress,
}: CheckOptions): Promise<CheckResult> {
  if (files.length === 0) throw new QalignError('USAGE', 'No records to check; name at least one JSONL file.');
  const all: { record: DatasetRecord; file: string; path: string }[] = [];
  for (const file of files)
    for (const record of await readRecords(file))
      all.push({ record, file, path: resolve(media ?? dirname(file), record.media) });
  const comparesMedia = kinds.includes('exact') || kinds.includes('perceptual');
  const surveyed: (Surveyed | undefined)[] = comparesMedia
    ? await surveyMedia(
        all.map(({ path }) => path),
        { signal, onProgress },
      )
    : [];
  const items = all.map(({ record, file }, index): LeakItem => {
    const found = surveyed[index];
    return {
      record,
      file,
      side: sideOf(record.split, file),
      fingerprint: found !== undefined && 'fingerprint' in found ? found.fingerprint : undefined,
    };
  });
  const sides = countSides(items);
  if (sides.length < 2)
    throw new QalignError(
      'USAGE',
      `All records are on one side (${sides[0]?.side ?? 'none'}); name the files of both sides, such as train.jsonl and test.jsonl.`,
    );
  const leaks = findLeaks(items, { kinds, distance });
  const counts = Object.fromEntries(
    LEAK_KINDS.map((kind) => [kind, leaks.filter((leak) => leak.kind === kind).length]),
  ) as Record<LeakKind, number>;
  const notCompared = all.flatMap(({ record, file }, index) => {
    const found = surveyed[index];
    return found !== undefined && 'code' in found
      ? [{ id: record.id, file, code: found.code, message: found.message }]
      : [];
  });
  return { sides, leaks, counts, not_compared: notCompared };
}

/** Records without splits have the split `all`. */
function sideOf(split: string, file: string): string {
  return split === 'all' ? basename(file) : split;
}

function countSides(items: readonly LeakItem[]): { side: string; records: number }[] {
  const counts = new Map<string, number>();
  for (const { side } of items) counts.set(side, (counts.get(side) ?? 0) + 1);
  return [...counts].map(([side, records]) => ({ side, records }));
}
