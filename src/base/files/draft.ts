import { randomBytes } from 'node:crypto';
import { open, readdir, realpath, rename, rm, stat, type FileHandle } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { isAlive, pidNamespace, startOf } from '../../../bridge/process.js';

/** A file or folder that is written under a temporary name and then renamed. Errors are those of the file system. */
export interface Draft {
  /** The temporary path. Nothing exists there yet. */
  readonly path: string;
  /** Renames the draft to its final name. Replaces an existing file, but a folder only if it is empty. */
  commit(): Promise<void>;
  /** Removes the draft. Does nothing after `commit`. */
  discard(): Promise<void>;
}

/**
 * Creates a draft of `whole` at `<whole>.<pid>-<start of the process>n<PID namespace>-<random>.part`. Several drafts in
 * one process do not collide. Drafts of a dead process are recognised even if its pid is reused.
 */
export function draftOf(whole: string): Draft {
  const path = `${whole}.${process.pid}-${startOf(process.pid)}n${pidNamespace}-${randomBytes(3).toString('hex')}.part`;
  return {
    path,
    commit: () => rename(path, whole),
    discard: () => rm(path, { recursive: true, force: true }),
  };
}

/** Matches the name above and those of earlier versions: without the namespace, and `<whole>.<pid>.part`. */
const SUFFIX = /^\.(\d+)(?:-(alive|\d+)(?:n(\d*))?-[0-9a-f]{6})?\.part$/;
/** A draft of another PID namespace is a leftover if it was not written to for this long. */
const SILENT_MS = 86_400_000;

/** State of the process that makes the draft `name` of the file name `whole`; undefined if it is not such a draft. */
function makerOf(name: string, whole: string): 'alive' | 'gone' | 'elsewhere' | undefined {
  const suffix = name.startsWith(whole) ? SUFFIX.exec(name.slice(whole.length)) : null;
  if (suffix === null) return undefined;
  const [, pid, start, namespace = pidNamespace] = suffix;
  if (namespace !== pidNamespace) return 'elsewhere';
  const gone = start === undefined ? !isAlive(Number(pid)) : startOf(Number(pid)) !== start;
  return gone ? 'gone' : 'alive';
}

/** Returns true if `name` in `folder` is a draft of the file name `whole` that a killed process left. */
export async function isLeftover(folder: string, name: string, whole: string): Promise<boolean> {
  const maker = makerOf(name, whole);
  if (maker !== 'elsewhere') return maker === 'gone';
  const found = await stat(join(folder, name)).catch(() => undefined);
  return found !== undefined && Date.now() - found.mtimeMs > SILENT_MS;
}

/** Removes the drafts of `whole` that killed processes left. */
export async function removeLeftovers(whole: string): Promise<void> {
  const [folder, name] = [dirname(whole), basename(whole)];
  for (const entry of await readdir(folder))
    if (await isLeftover(folder, entry, name)) await rm(join(folder, entry), { recursive: true, force: true });
}

/** An open draft file that gets its final name at `commit`. */
export interface OpenDraft {
  readonly file: FileHandle;
  /** Syncs and closes the file, renames it, and syncs the folder. */
  commit(): Promise<void>;
  /** Closes and removes the file. Does nothing after `commit`. */
  discard(): Promise<void>;
}

/**
 * Opens a draft of the file `whole`. If `whole` is a symbolic link, the draft replaces the target of the link. A named
 * pipe or a device such as /dev/null is never replaced: bytes are written to it directly. With `replace`, a link, pipe
 * or device is itself replaced.
 */
export async function openDraft(whole: string, { replace = false } = {}): Promise<OpenDraft> {
  if (!replace && (await isSpecial(whole))) {
    const file = await open(whole, 'w');
    return { file, commit: () => file.close(), discard: () => file.close() };
  }
  const place = replace ? whole : await realpath(whole).catch(() => whole);
  await removeLeftovers(place);
  const draft = draftOf(place);
  const file = await open(draft.path, 'wx');
  return {
    file,
    async commit() {
      await file.sync();
      await file.close();
      await draft.commit();
      await syncFolder(dirname(place));
    },
    async discard() {
      await file.close().catch(() => undefined);
      await draft.discard();
    },
  };
}

/** Returns true if the path exists and is not a regular file: a pipe, a device, a socket or a folder. */
export async function isSpecial(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => !found.isFile(),
    () => false,
  );
}

/** A rename is durable only after its folder is synced. */
export async function syncFolder(path: string): Promise<void> {
  const folder: FileHandle = await open(path);
  await folder.sync().finally(() => folder.close());
}
