import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { QalignError } from '../../base/errors.js';
import { readWithin, type Reach } from '../../base/files/reach.js';
import type { DatasetManifest } from './convert.js';

/**
 * Reads the dataset.json beside a file of records; undefined if there is none.
 * @param within allowed location of the opened file; default: anywhere
 * @throws QalignError DATASET_UNREADABLE, PATH_FORBIDDEN
 */
export async function manifestBeside(file: string, within?: Reach): Promise<DatasetManifest | undefined> {
  for (const path of [file.replace(/\.jsonl$/, '.dataset.json'), join(dirname(file), 'dataset.json')]) {
    if (path === file || !existsSync(path)) continue;
    try {
      return JSON.parse((await readWithin(path, within)).toString()) as DatasetManifest;
    } catch (cause) {
      if (cause instanceof QalignError) throw cause;
      throw new QalignError(
        'DATASET_UNREADABLE',
        `${path} is not valid JSON: ${(cause as Error).message}; convert the data set again, or delete the file.`,
        { cause },
      );
    }
  }
  return undefined;
}
