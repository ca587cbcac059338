import { readdirSync, readFileSync } from 'node:fs';
import { readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { isLeftover } from '../../base/files/draft.js';
import type { Logger } from '../../base/logger.js';
import { isAlive } from '../../../bridge/process.js';

/** A managed environment that was not started for this long belongs to other pins or another Python. */
const UNUSED_MS = 7 * 24 * 3600 * 1000;

/**
 * Removes environments in `cache` other than `keep` if no running process uses them and none was started for a week.
 * Also removes unfinished environments of dead processes. A failed removal is only logged.
 */
export async function removeUnused(cache: string, keep: string, log: Logger): Promise<void> {
  const names = (await readdir(cache)).filter((name) => /^venv-[0-9a-f]{12}(\..*)?$/.test(name));
  const running = commandLines();
  for (const name of names) {
    const folder = join(cache, name);
    if (folder === keep || running.some((line) => line.includes(folder))) continue;
    const lastUse = await stat(join(folder, 'complete')).then(
      (s) => s.mtimeMs,
      () => 0,
    );
    const unused = name.includes('.') ? await isHalfMade(cache, name) : Date.now() - lastUse > UNUSED_MS;
    if (!unused) continue;
    log.info('removing an unused Python environment', { folder });
    await rm(folder, { recursive: true, force: true }).catch((error: Error) =>
      log.warn('an unused Python environment could not be removed', { folder, reason: error.message }),
    );
  }
}

/** Returns true for the draft of a dead process. Earlier versions named drafts `venv-….building-<pid>`. */
async function isHalfMade(cache: string, name: string): Promise<boolean> {
  const maker = /\.building-(\d+)$/.exec(name)?.[1];
  return maker === undefined ? isLeftover(cache, name, name.slice(0, name.indexOf('.'))) : !isAlive(Number(maker));
}

function commandLines(): string[] {
  try {
    return readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name))
      .map((pid) => {
        try {
          return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
        } catch {
          return '';
        }
      });
  } catch {
    return [];
  }
}
