import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { QalignError } from '../../base/errors.js';
import type { DatasetManifest } from './convert.js';

/**
 * Reads the dataset.json beside a file of records; undefined if there is none.
 * @throws QalignError DATASET_UNREADABLE
 */
export async function manifestBeside(file: string): Promise<DatasetManifest | undefined> {
  for (const path of [file.replace(/\.jsonl$/, '.dataset.json'), join(dirname(file), 'dataset.json')]) {
    if (path === file || !existsSync(path)) continue;
    try {
      return JSON.parse(await readFile(path, 'utf8')) as DatasetManifest;
    } catch (cause) {
      throw new QalignError(
        'DATASET_UNREADABLE',
        `${path} is not valid JSON: ${(cause as Error).message}; convert the data set again, or delete the file.`,
        { cause },
      );
    }
  }
  return undefined;
}
