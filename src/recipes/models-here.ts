import { existsSync, readdirSync } from 'node:fs';
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
