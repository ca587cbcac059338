import { existsSync, readdirSync, rmSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Logger } from '../../base/logger.js';
import type { JobStore } from './store.js';

/** Job directories on disk. Each holds the list (manifest.jsonl), the results and the events of one job. */
export interface JobFolders {
  of(id: string): string;
  manifest(id: string): string;
  results(id: string): string;
  events(id: string): string;
  /** Removes a job that is no longer in the store. Streams that read its files continue to the end. */
  remove(id: string): Promise<void>;
  /** Removes directories of jobs that a killed service had not accepted yet. */
  removeUnknown(): void;
  /** Removes jobs older than the configured number of days. */
  removeOld(): void;
}

export function createJobFolders({
  root,
  store,
  keepDays,
  log,
}: {
  readonly root: string;
  readonly store: Pick<JobStore, 'get' | 'removeKept'>;
  readonly keepDays: number | null;
  readonly log: Logger;
}): JobFolders {
  const of = (id: string): string => join(root, id);
  const remove = (name: string): void => rmSync(of(name), { recursive: true, force: true });
  return {
    of,
    manifest: (id) => join(of(id), 'manifest.jsonl'),
    results: (id) => join(of(id), 'results.jsonl'),
    events: (id) => join(of(id), 'events.jsonl'),
    remove: (id) =>
      rm(of(id), { recursive: true, force: true, maxRetries: 3 }).catch((error: Error) =>
        log.warn('the folder of a job was not removed; the next start removes it', { job: id, reason: error.message }),
      ),
    removeUnknown() {
      // Drafts have longer names, which no job has.
      for (const name of existsSync(root) ? readdirSync(root) : [])
        if (/^job_[0-9a-f]{24}/.test(name) && store.get(name) === undefined) remove(name);
    },
    removeOld() {
      if (keepDays === null) return;
      try {
        // Removes the row first: the next start removes a directory without a row.
        store.removeKept(keepDays * 86_400).forEach(remove);
      } catch (error) {
        log.warn('old jobs were not removed', { reason: (error as Error).message });
      }
    },
  };
}
