import { randomUUID } from 'node:crypto';
import { link, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { pidNamespace, startOf } from '../../../bridge/process.js';
import { draftOf, removeLeftovers } from './draft.js';

const POLL_MS = 300;
const HEARTBEAT_MS = 5_000;
/** A lock of another host or PID namespace is stale if its holder has not touched it for this long. */
const SILENT_MS = 60_000;

interface Holder {
  pid: number;
  started: string;
  host: string;
  /** PID namespace of the process, because containers can share a host name. Missing in locks of earlier versions. */
  namespace?: string;
  token: string;
}

/**
 * Runs `work` while holding the lock file `path`. Only one process holds it at a time, across hosts too. The lock of a
 * dead process is removed. `onWait` is called at every poll (about three times a second) while another process holds
 * the lock.
 */
export async function withFileLock<T>(
  path: string,
  work: () => Promise<T>,
  options: { onWait?: (pid: number) => void; signal?: AbortSignal } = {},
): Promise<T> {
  const mine: Holder = {
    pid: process.pid,
    started: startOf(process.pid),
    host: hostname(),
    namespace: pidNamespace,
    token: randomUUID(),
  };
  while (!(await tryTake(path, mine))) {
    options.signal?.throwIfAborted();
    const text = await readFile(path, 'utf8').catch(() => undefined);
    if (text === undefined) continue; // the lock was just released
    if (await isStale(path, text)) await breakLock(path, text);
    else {
      options.onWait?.(parseHolder(text)?.pid ?? 0);
      await sleep(POLL_MS, undefined, options.signal === undefined ? {} : { signal: options.signal });
    }
  }
  const heartbeat = setInterval(() => void utimes(path, new Date(), new Date()).catch(() => {}), HEARTBEAT_MS);
  heartbeat.unref();
  try {
    await removeLeftovers(path).catch(() => undefined); // drafts of processes that were killed while they took the lock
    return await work();
  } finally {
    clearInterval(heartbeat);
    const text = await readFile(path, 'utf8').catch(() => '');
    if (parseHolder(text)?.token === mine.token) await rm(path, { force: true });
  }
}

/** Creates the lock with its content in one step: a hard link to a finished file succeeds or finds another lock. */
async function tryTake(path: string, holder: Holder): Promise<boolean> {
  const draft = draftOf(path);
  await writeFile(draft.path, JSON.stringify(holder));
  try {
    await link(draft.path, path);
    return true;
  } catch (error) {
    // a process on another host can mistake the draft for a leftover and remove it
    if (['EEXIST', 'ENOENT'].includes((error as NodeJS.ErrnoException).code ?? '')) return false;
    throw error;
  } finally {
    await draft.discard();
  }
}

async function isStale(path: string, text: string): Promise<boolean> {
  const holder = parseHolder(text);
  if (holder === undefined) return true; // an incomplete lock file was not written by qalign
  if (holder.host !== hostname() || (holder.namespace ?? pidNamespace) !== pidNamespace)
    return (
      Date.now() -
        (await stat(path).then(
          (s) => s.mtimeMs,
          () => Date.now(),
        )) >
      SILENT_MS
    );
  return startOf(holder.pid) !== holder.started;
}

/** Moves the stale lock aside. If another process was faster and this moved a live lock, the live lock is put back. */
async function breakLock(path: string, stale: string): Promise<void> {
  const aside = `${path}.${randomUUID()}`;
  try {
    await rename(path, aside);
  } catch {
    return;
  }
  if ((await readFile(aside, 'utf8').catch(() => stale)) !== stale) await link(aside, path).catch(() => {});
  await rm(aside, { force: true });
}

function parseHolder(text: string): Holder | undefined {
  try {
    const value = JSON.parse(text) as Partial<Holder>;
    return typeof value.pid === 'number' && typeof value.token === 'string' ? (value as Holder) : undefined;
  } catch {
    return undefined;
  }
}
