import { randomBytes } from 'node:crypto';
import { open, readdir, realpath, rename, rm, stat, type FileHandle } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { isAlive, startOf } from '../../../bridge/process.js';

/** A file or folder that is made beside the place where it will appear whole. Errors are those of the file system. */
export interface Draft {
  /** Where to make it. Nothing is there yet. */
  readonly path: string;
  /** Gives it its name. A file of that name is replaced, a folder only if it is empty. */
  commit(): Promise<void>;
  /** Removes it; harmless after `commit`. */
  discard(): Promise<void>;
}

/**
 * A draft of `whole`: `<whole>.<pid>-<start of the process>-<random>.part`. Several in one process do not collide, and
 * those of a dead process are recognised even if its pid is in use again.
 */
export function draftOf(whole: string): Draft {
  const path = `${whole}.${process.pid}-${startOf(process.pid)}-${randomBytes(3).toString('hex')}.part`;
  return {
    path,
    commit: () => rename(path, whole),
    discard: () => rm(path, { recursive: true, force: true }),
  };
}

/** The rule above, and that of earlier versions, `<whole>.<pid>.part`. */
const SUFFIX = /^\.(\d+)(?:-(\w+)-[0-9a-f]{6})?\.part$/;

/** Whether the file name `name` is a draft of `whole` (a name, too) that a process left when it was killed. */
export function isLeftover(name: string, whole: string): boolean {
  const suffix = name.startsWith(whole) ? SUFFIX.exec(name.slice(whole.length)) : null;
  if (suffix === null) return false;
  const [, pid, start] = suffix;
  return start === undefined ? !isAlive(Number(pid)) : startOf(Number(pid)) !== start;
}

/** Removes the drafts of `whole` that killed processes left. */
export async function removeLeftovers(whole: string): Promise<void> {
  const [folder, name] = [dirname(whole), basename(whole)];
  for (const entry of await readdir(folder))
    if (isLeftover(entry, name)) await rm(join(folder, entry), { recursive: true, force: true });
}

/** A file that is written beside its place, and takes it at `commit`. */
export interface OpenDraft {
  readonly file: FileHandle;
  /** Syncs and closes the file, gives it its name, and syncs the folder. */
  commit(): Promise<void>;
  /** Closes and removes it; harmless after `commit`. */
  discard(): Promise<void>;
}

/**
 * Opens a draft of the file `whole`. Behind a symbolic link it takes the place of the file that the link leads to. A
 * named pipe or a device such as /dev/null is never replaced: the bytes are written to it directly. With `replace` no
 * link is followed: it is replaced, and so is a pipe or device.
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

/** Whether something is there that is no regular file: a pipe, a device, a socket. */
export async function isSpecial(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => !found.isFile(),
    () => false,
  );
}

/** The rename itself is on the disk only when its folder is. */
async function syncFolder(path: string): Promise<void> {
  const folder: FileHandle = await open(path);
  await folder.sync().finally(() => folder.close());
}
