import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { modelCacheDir } from '../base/files/cache-dir.js';

/** Whether a model is here: a directory, or a hub id with a snapshot in the hub's cache. */
export function isHere(place: string): boolean {
  if (existsSync(place)) return true;
  try {
    return readdirSync(join(modelCacheDir(), `models--${place.replaceAll('/', '--')}`, 'snapshots')).length > 0;
  } catch {
    return false;
  }
}
