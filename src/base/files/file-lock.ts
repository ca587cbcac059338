import { randomUUID } from 'node:crypto';
import { link, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { pidNamespace, startOf } from '../../../bridge/process.js';
import { draftOf, removeLeftovers } from './draft.js';

const POLL_MS = 300;
const HEARTBEAT_MS = 5_000;
/** A lock of another host or PID namespace whose holder has not touched it for this long belongs to nobody. */
const SILENT_MS = 60_000;

interface Holder {
  pid: number;
  started: string;
  host: string;
  /** Of its pid; containers may share a host name. Missing in locks of earlier versions. */
  namespace?: string;
  token: string;
}

/**
 * Runs `work` while holding the lock file `path`: one process at a time, also among several Nodes. The lock of a dead
 * process is broken. `onWait` is called at every look (about three times a second) while another process holds it.
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
    if (text === undefined) continue; // just released
    if (await isStale(path, text)) await breakLock(path, text);
    else {
      options.onWait?.(parseHolder(text)?.pid ?? 0);
      await sleep(POLL_MS, undefined, options.signal === undefined ? {} : { signal: options.signal });
    }
  }
  const heartbeat = setInterval(() => void utimes(path, new Date(), new Date()).catch(() => {}), HEARTBEAT_MS);
  heartbeat.unref();
  try {
    await removeLeftovers(path).catch(() => undefined); // of processes that were killed while they took it
    return await work();
  } finally {
    clearInterval(heartbeat);
    const text = await readFile(path, 'utf8').catch(() => '');
    if (parseHolder(text)?.token === mine.token) await rm(path, { force: true });
  }
}

/** The lock appears with its content at once: a link to a finished file either succeeds or finds another lock. */
async function tryTake(path: string, holder: Holder): Promise<boolean> {
  const draft = draftOf(path);
  await writeFile(draft.path, JSON.stringify(holder));
  try {
    await link(draft.path, path);
    return true;
  } catch (error) {
    // a process of another host may take the draft for one that was left
    if (['EEXIST', 'ENOENT'].includes((error as NodeJS.ErrnoException).code ?? '')) return false;
    throw error;
  } finally {
    await draft.discard();
  }
}

async function isStale(path: string, text: string): Promise<boolean> {
  const holder = parseHolder(text);
  if (holder === undefined) return true; // nothing of ours writes anything but whole holders
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

/** Moves the stale lock away; when another breaker was quicker and a live lock was caught, that one is put back. */
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
