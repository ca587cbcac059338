import { existsSync, readdirSync } from 'node:fs';
import type { ModelChoice } from '../config/models.js';
import { join } from 'node:path';
import { modelCacheDir } from '../base/files/cache-dir.js';

/** Whether a model is available locally, as a directory or as a hub id with a snapshot in the cache of the hub. */
export function isHere(place: string): boolean {
  if (existsSync(place)) return true;
  try {
    return readdirSync(join(modelCacheDir(), `models--${place.replaceAll('/', '--')}`, 'snapshots')).length > 0;
  } catch {
    return false;
  }
}

/** What a download of a model will fetch, in one sentence; undefined if the model is here. */
export function downloadNotice({ id, model, downloadGb, licence }: ModelChoice): string | undefined {
  if (isHere(model)) return undefined;
  const what = downloadGb === undefined ? 'files of unknown size' : `about ${downloadGb} GB`;
  return `${id} is not on this machine: ${what} will come from ${model}; licence: ${licence ?? 'see the model page'}`;
}
