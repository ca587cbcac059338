import { basename, dirname, resolve } from 'node:path';
import type { DatasetRecord } from '../../../bridge/protocol/record.js';
import { findLeaks, LEAK_KINDS, type Leak, type LeakItem, type LeakKind } from '../../datasets/leaks.js';
import { readRecords } from '../../datasets/records.js';
import { QalignError } from '../../base/errors.js';
import { surveyMedia, type Surveyed, type SurveyOptions } from './survey-media.js';

/** Which kinds of leaks are looked for, and where the media are. */
export interface CheckOptions extends SurveyOptions {
  /** JSONL files of records, of one or several data sets. */
  readonly records: readonly string[];
  /** What media paths are relative to; default: the folder of each file. */
  readonly media?: string | undefined;
  /**
   * Kinds of leaks to look for.
   * @default all
   */
  readonly kinds?: readonly LeakKind[] | undefined;
  /** Largest Hamming distance (of 64 bits) of the perceptual hashes of one picture; default 6. */
  readonly distance?: number | undefined;
}

/** Leaks between record files: the same bytes, look, reference or base name. */
export interface CheckResult {
  /** What was compared: split, or file where that has no splits. */
  sides: { side: string; records: number }[];
  /** Pairs of records on two sides that share a picture or a reference. */
  leaks: Leak[];
  /** Leaks by kind. */
  counts: Record<LeakKind, number>;
  /** Records whose media could not be compared, because it is missing or damaged. */
  not_compared: { id: string; file: string; code: string; message: string }[];
}

/**
 * Looks for pictures that stand on both sides of a split, within and across data sets.
 * @throws QalignError DATASET_*, USAGE where there is only one side
 */
export async function checkDataset({
  records: files,
  media,
  kinds = LEAK_KINDS,
  distance,
  signal,
  onProgress,
}: CheckOptions): Promise<CheckResult> {
  if (files.length === 0) throw new QalignError('USAGE', 'Name at least one file of records to check.');
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
      `All records stand on one side (${sides[0]?.side ?? 'none'}); name the files of both, such as train.jsonl and test.jsonl.`,
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

/** `all` is what files without splits say. */
function sideOf(split: string, file: string): string {
  return split === 'all' ? basename(file) : split;
}

function countSides(items: readonly LeakItem[]): { side: string; records: number }[] {
  const counts = new Map<string, number>();
  for (const { side } of items) counts.set(side, (counts.get(side) ?? 0) + 1);
  return [...counts].map(([side, records]) => ({ side, records }));
}
