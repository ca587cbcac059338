import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { QalignError } from '../../base/errors.js';
import { readWithin, type Reach } from '../../base/files/reach.js';
import type { DatasetManifest } from './convert.js';

/**
 * The dataset.json that lies beside a file of records.
 * @param within where the opened file must lie; anywhere by default
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
        `${path} is no JSON: ${(cause as Error).message}; convert the data set again, or remove the file.`,
        { cause },
      );
    }
  }
  return undefined;
}
