import { basename } from 'node:path';
import { DatasetRecord } from '../../bridge/protocol/record.js';
import { problemWith } from '../../bridge/validate.js';
import { QalignError } from '../base/errors.js';
import type { Reach } from '../base/files/reach.js';
import { readLines } from './read/text.js';

/**
 * Reads the records of a JSONL file in batches and in order. Every line is validated against the schema.
 * @param within allowed location of the opened file; default: anywhere
 * @throws QalignError DATASET_NOT_FOUND, DATASET_UNREADABLE, DATASET_VALUE with file and line; PATH_FORBIDDEN
 */
export async function* scanRecords(path: string, within?: Reach): AsyncGenerator<DatasetRecord[]> {
  for await (const { lines, first } of readLines(path, within)) {
    const records: DatasetRecord[] = [];
    lines.forEach((line, index) => {
      if (line.trim() !== '') records.push(parseRecord(line, `${basename(path)}:${first + index}`));
    });
    yield records;
  }
}

/**
 * Reads all records of a file.
 * @throws QalignError as `scanRecords`, DATASET_EMPTY, and DATASET_DUPLICATE for a repeated id
 */
export async function readRecords(path: string, within?: Reach): Promise<DatasetRecord[]> {
  const records: DatasetRecord[] = [];
  const ids = new Set<string>();
  for await (const batch of scanRecords(path, within)) {
    for (const record of batch) {
      if (ids.has(record.id))
        throw new QalignError(
          'DATASET_DUPLICATE',
          `${basename(path)}: the id ${record.id} is repeated; ids must be unique in a file of records.`,
        );
      ids.add(record.id);
      records.push(record);
    }
  }
  if (records.length === 0)
    throw new QalignError(
      'DATASET_EMPTY',
      `${basename(path)} has no records; create them with "qalign dataset convert".`,
    );
  return records;
}

function parseRecord(line: string, place: string): DatasetRecord {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch (cause) {
    throw new QalignError(
      'DATASET_UNREADABLE',
      `${place}: the line is not valid JSON: ${(cause as Error).message}; create records with "qalign dataset convert".`,
      { cause },
    );
  }
  const problem = problemWith(DatasetRecord, value);
  if (problem !== undefined)
    throw new QalignError(
      'DATASET_VALUE',
      `${place} is not a valid record (${problem}); create records with "qalign dataset convert".`,
    );
  return value as DatasetRecord;
}
