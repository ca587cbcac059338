import { existsSync } from 'node:fs';
import { dirname, isAbsolute, join, relative, resolve, sep } from 'node:path';
import type { DatasetRecord } from '../../../bridge/protocol/record.js';
import { partition, samplePositions, type PartSize } from '../../datasets/partition.js';
import {
  JSONL_TEXT,
  openOneFile,
  openSplitFiles,
  recordLine,
  type RecordFiles,
  type WrittenFile,
} from '../../datasets/record-sink.js';
import { readRecords } from '../../datasets/records.js';
import { QalignError } from '../../base/errors.js';

/** The parts by number or share. Records of one group stay together. */
export interface SplitOptions {
  /** A JSONL file of records. */
  readonly records: string;
  /**
   * Part → share, whole number or `rest` of the records. If records have a group, shares and numbers are of groups
   * (reference images).
   */
  readonly parts: Readonly<Record<string, PartSize>>;
  /**
   * Random seed.
   * @default 0
   */
  readonly seed?: number | undefined;
  /** Output folder of the files `<part>.jsonl`. */
  readonly out: string;
}

/** The files written, with the number of records of each. */
export interface SplitResult {
  /** Files that were written. */
  readonly files: readonly WrittenFile[];
  /** Part → level → number of records. */
  readonly levels: Readonly<Record<string, Readonly<Record<string, number>>>>;
  /** Whether levels were kept in equal proportions, or groups were kept together. */
  readonly by: 'level' | 'group';
}

/**
 * Splits a file of records at random, with a seed. Levels keep their proportions, and pictures of one reference stay in
 * one part. Media paths are rewritten for the new folder if they refer to files.
 * @throws QalignError DATASET_*, USAGE, OUTPUT_UNWRITABLE
 * @example
 * ```ts
 * await splitRecords({ records: 'data/own/all.jsonl', parts: { dev: 0.2, train: 'rest' }, seed: 1, out: 'data/own' });
 * ```
 */
export async function splitRecords({ records: path, parts, seed = 0, out }: SplitOptions): Promise<SplitResult> {
  const records = await readRecords(path);
  const owners = partition(records, parts, seed);
  const move = mover(path, records, out);
  const levels: Record<string, Record<string, number>> = Object.fromEntries(
    Object.keys(parts).map((part) => [part, {}]),
  );
  const files = await writeAll(openSplitFiles(out, JSONL_TEXT), async (write) => {
    for (const [index, record] of records.entries()) {
      const part = owners[index]!;
      count(levels[part]!, record);
      await write(part, recordLine(move({ ...record, split: part })));
    }
  });
  return { files, levels, by: records[0]?.group === undefined ? 'level' : 'group' };
}

/** How many records are drawn from each file. */
export interface SampleOptions {
  /** JSONL files of records. Several files are mixed. */
  readonly records: readonly string[];
  /** Weight of each file: 0.5 takes half of it, 2 takes all of it twice. Default: 1. */
  readonly weights?: readonly number[] | undefined;
  /**
   * Share of the weighted records. Excludes `count`.
   * @default 1
   */
  readonly fraction?: number | undefined;
  /**
   * Number of records. Excludes `fraction`.
   * @default all
   */
  readonly count?: number | undefined;
  /**
   * `level`: keep the proportions of the levels in each file.
   * @default none
   */
  readonly stratify?: 'level' | undefined;
  /**
   * Random seed.
   * @default 0
   */
  readonly seed?: number | undefined;
  /** Output .jsonl file. */
  readonly out: string;
}

/** The file written, with the number of records from each input. */
export interface SampleResult {
  /** Files that were written. */
  readonly files: readonly WrittenFile[];
  /** In the order of the input files. */
  readonly inputs: readonly { file: string; of: number; taken: number; levels: Record<string, number> }[];
}

/**
 * Draws records at random from one or several files, with a seed. Ids stay unique: with several files they become
 * `<dataset>/<id>`, and repeated records get the suffix `#2`, `#3` and so on.
 * @throws QalignError DATASET_*, USAGE, OUTPUT_UNWRITABLE
 * @example
 * ```ts
 * await sampleRecords({ records: ['data/own/train.jsonl'], fraction: 0.2, stratify: 'level', out: 'few.jsonl' });
 * ```
 */
export async function sampleRecords({
  records: paths,
  weights,
  fraction,
  count: wanted,
  stratify,
  seed = 0,
  out,
}: SampleOptions): Promise<SampleResult> {
  checkSample(paths, weights, fraction, wanted);
  const inputs: SampleResult['inputs'][number][] = [];
  const all = await Promise.all(paths.map((path) => readRecords(path)));
  const weighted = all.map((records, index) => records.length * (weights?.[index] ?? 1));
  const whole = weighted.reduce((a, b) => a + b, 0);
  const share = fraction ?? (wanted === undefined ? 1 : wanted / whole);
  if (share > 1)
    throw new QalignError(
      'USAGE',
      `${wanted} records are requested, but there are only ${Math.round(whole)}; raise --weights to take some of them twice.`,
    );
  const takes = roundTo(
    weighted.map((n) => n * share),
    wanted ?? Math.round(whole * share),
  );
  const seen = new Set<string>();
  const files = await writeAll(openOneFile(out, JSONL_TEXT), async (write) => {
    for (const [index, records] of all.entries()) {
      const path = paths[index]!;
      const move = mover(path, records, dirname(resolve(out)));
      const levels: Record<string, number> = {};
      let left = takes[index]!;
      for (let round = 1; left > 0; round++) {
        const positions =
          left >= records.length
            ? records.map((_, at) => at)
            : samplePositions(records, left, { seed: seed + 7919 * index, stratify: stratify === 'level' });
        left -= positions.length;
        for (const at of positions) {
          const record = records[at]!;
          const id = `${paths.length > 1 ? `${record.dataset}/` : ''}${record.id}${round > 1 ? `#${round}` : ''}`;
          if (seen.has(id))
            throw new QalignError(
              'DATASET_DUPLICATE',
              `${path}: ${id} is also in another file; remove one of the files, or use --weights to repeat records.`,
            );
          seen.add(id);
          count(levels, record);
          await write('all', recordLine(move({ ...record, id })));
        }
      }
      inputs.push({ file: path, of: records.length, taken: takes[index]!, levels });
    }
  });
  return { files, inputs };
}

function checkSample(
  paths: readonly string[],
  weights: readonly number[] | undefined,
  fraction: number | undefined,
  count: number | undefined,
): void {
  if (paths.length === 0) throw new QalignError('USAGE', 'No records to sample from; name at least one JSONL file.');
  if (weights !== undefined && weights.length !== paths.length)
    throw new QalignError(
      'USAGE',
      `There are ${weights.length} weights and ${paths.length} files of records; use one weight per file.`,
    );
  const bad = weights?.find((weight) => !(weight > 0 && weight < Infinity));
  if (bad !== undefined) throw new QalignError('USAGE', `The weight ${bad} must be a number above 0.`);
  if (fraction !== undefined && count !== undefined)
    throw new QalignError('USAGE', 'Use a fraction or a count, not both.');
  if (fraction !== undefined && !(fraction > 0 && fraction <= 1))
    throw new QalignError('USAGE', `The fraction ${fraction} must be above 0 and at most 1.`);
  if (count !== undefined && !(Number.isSafeInteger(count) && count > 0))
    throw new QalignError('USAGE', `The count ${count} must be a whole number above 0.`);
}

/** Rounds values to whole numbers that add up to `total`. Each differs from its value by less than one. */
function roundTo(values: readonly number[], total: number): number[] {
  const counts = values.map((value) => Math.floor(value + 1e-9));
  const order = values
    .map((value, index) => ({ index, left: value - counts[index]! }))
    .sort((a, b) => b.left - a.left || a.index - b.index);
  let missing = total - counts.reduce((a, b) => a + b, 0);
  for (const { index } of order) if (missing-- > 0) counts[index]!++;
  return counts;
}

async function writeAll(
  files: RecordFiles,
  work: (write: RecordFiles['write']) => Promise<void>,
): Promise<WrittenFile[]> {
  try {
    await work((split, text) => files.write(split, text));
    return await files.commit();
  } catch (error) {
    await files.discard();
    throw error;
  }
}

/**
 * Rewrites media paths, which are relative to the folder of their file, for a new folder. If the first path does not
 * refer to a file, all paths are relative to another media root and do not change.
 */
function mover(
  path: string,
  records: readonly DatasetRecord[],
  folder: string,
): (record: DatasetRecord) => DatasetRecord {
  const from = dirname(resolve(path));
  const first = records[0]?.media ?? '';
  if (resolve(folder) === from || isAbsolute(first) || !existsSync(join(from, first))) return (record) => record;
  return (record) => ({ ...record, media: relative(resolve(folder), join(from, record.media)).split(sep).join('/') });
}

function count(levels: Record<string, number>, { level = 'none' }: DatasetRecord): void {
  levels[level] = (levels[level] ?? 0) + 1;
}
