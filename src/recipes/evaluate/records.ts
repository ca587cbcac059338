import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { dirname, isAbsolute, join, resolve } from 'node:path';
import type { DatasetRecord } from '../../../bridge/protocol/record.js';
import type { EvaluateData } from '../../config/evaluate.js';
import type { DeepReadonly } from '../../config/load.js';
import { readRecords } from '../../datasets/records.js';
import { QalignError } from '../../base/errors.js';
import type { Reach } from '../../base/files/reach.js';

/** The validated records of one entry of `data` and the paths of their media. */
export interface RecordSet {
  readonly name: string;
  readonly file: string;
  readonly records: readonly DatasetRecord[];
  /** Hash of the ids, media and labels. */
  readonly sha256: string;
  /** Absolute path of the media of each record. */
  readonly media: readonly string[];
  /**
   * Number of media files that are known to be missing. Their records are not evaluated and do not count as failures.
   */
  readonly absent?: number;
}

/**
 * @param within allowed location of the opened file; default: anywhere
 * @throws QalignError EVALUATION_NOT_READY if the file does not exist, DATASET_* for invalid records, CONFIG_INVALID
 * for a split without records; PATH_FORBIDDEN
 */
export async function readRecordSet(entry: DeepReadonly<EvaluateData>, within?: Reach): Promise<RecordSet> {
  const file = resolve(entry.records);
  if (!existsSync(file))
    throw new QalignError(
      'EVALUATION_NOT_READY',
      `The records ${entry.records} of ${entry.name} do not exist; create them with "qalign dataset convert".`,
    );
  const all = await readRecords(file, within);
  const records = entry.split === null ? all : all.filter(({ split }) => split === entry.split);
  if (records.length === 0) {
    const splits = [...new Set(all.map(({ split }) => split))].join(', ');
    throw new QalignError(
      'CONFIG_INVALID',
      `${entry.records} has no records of the split "${entry.split}"; its splits are ${splits}.`,
    );
  }
  return recordSet(entry.name, file, records, entry.root ?? dirname(file));
}

/** Creates a record set from records in memory. */
export function recordSet(name: string, file: string, records: readonly DatasetRecord[], root: string): RecordSet {
  const hash = createHash('sha256');
  for (const { id, media, task, mos, level, group } of records)
    hash.update(`${JSON.stringify([id, media, task, mos, level ?? null, group ?? null])}\n`);
  return {
    name,
    file,
    records,
    sha256: hash.digest('hex'),
    media: records.map(({ media }) => (isAbsolute(media) ? media : join(resolve(root), media))),
  };
}
