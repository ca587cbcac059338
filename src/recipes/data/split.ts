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

/** The parts, by number or share, and how records are drawn; records of one group stay together. */
export interface SplitOptions {
  /** A JSONL file of records. */
  readonly records: string;
  /**
   * Part → a share of the records, a whole number of them, or `rest`. Of reference images, where the records have a
   * group.
   */
  readonly parts: Readonly<Record<string, PartSize>>;
  /**
   * Random seed.
   * @default 0
   */
  readonly seed?: number | undefined;
  /** Folder of the new files, `<part>.jsonl`. */
  readonly out: string;
}

/** The files written and how many records each has. */
export interface SplitResult {
  /** Files that were written. */
  readonly files: readonly WrittenFile[];
  /** Part → level → records. */
  readonly levels: Readonly<Record<string, Readonly<Record<string, number>>>>;
  /** What was kept together. */
  readonly by: 'level' | 'group';
}

/**
 * One file of records into several, seeded: levels in equal proportions, pictures of one reference never in two parts.
 * Media paths are rewritten for the new folder where they lead to files.
 * @throws QalignError DATASET_*, USAGE, OUTPUT_UNWRITABLE
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

/** How much of each record file is taken, and how it is drawn. */
export interface SampleOptions {
  /** JSONL files of records; several are mixed. */
  readonly records: readonly string[];
  /** How many times each file is taken: 0.5 is half of it, 2 is all of it twice. Default: once. */
  readonly weights?: readonly number[] | undefined;
  /** Of what the weights make: a share … */
  readonly fraction?: number | undefined;
  /** … or a number of records. */
  readonly count?: number | undefined;
  /** Levels in the proportions of each file. */
  readonly stratify?: 'level' | undefined;
  /**
   * Random seed.
   * @default 0
   */
  readonly seed?: number | undefined;
  /** A .jsonl file. */
  readonly out: string;
}

/** The file written and how many records of each source it has. */
export interface SampleResult {
  /** Files that were written. */
  readonly files: readonly WrittenFile[];
  /** In the order of the input files. */
  readonly inputs: readonly { file: string; of: number; taken: number; levels: Record<string, number> }[];
}

/**
 * A seeded part of some records, or a mixture of several files. In a mixture ids become `<dataset>/<id>`, and a record
 * that is taken again gets `#2`, `#3` …: ids stay unique.
 * @throws QalignError DATASET_*, USAGE, OUTPUT_UNWRITABLE
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
      `There are ${Math.round(whole)} records to take ${wanted} from; raise --weights to take some of them twice.`,
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
              `${path}: ${id} also comes from another of the files; a record is mixed in once, or again by --weights.`,
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
  if (paths.length === 0) throw new QalignError('USAGE', 'Name at least one file of records to sample from.');
  if (weights !== undefined && weights.length !== paths.length)
    throw new QalignError(
      'USAGE',
      `There are ${weights.length} weights and ${paths.length} files of records; give one for each.`,
    );
  const bad = weights?.find((weight) => !(weight > 0 && weight < Infinity));
  if (bad !== undefined) throw new QalignError('USAGE', `The weight ${bad} must be a number above 0.`);
  if (fraction !== undefined && count !== undefined)
    throw new QalignError('USAGE', 'Give a fraction or a count, not both.');
  if (fraction !== undefined && !(fraction > 0 && fraction <= 1))
    throw new QalignError('USAGE', `The fraction ${fraction} is not above 0 and at most 1.`);
  if (count !== undefined && !(Number.isSafeInteger(count) && count > 0))
    throw new QalignError('USAGE', `The count ${count} must be a whole number above 0.`);
}

/** Whole numbers that add up to `total`, each less than one away from its value. */
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
 * Media paths are relative to the folder of their file. Where the first of them leads to a file that way, all are
 * rewritten for the new folder; where not, they belong to a media root that is named elsewhere, and stay.
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
