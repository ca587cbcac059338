import { randomBytes } from 'node:crypto';
import { open, readdir, realpath, rename, rm, stat, type FileHandle } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { isAlive, pidNamespace, startOf } from '../../../bridge/process.js';

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
 * A draft of `whole`: `<whole>.<pid>-<start of the process>n<PID namespace>-<random>.part`. Several in one process do
 * not collide, and those of a dead process are recognised even if its pid is in use again.
 */
export function draftOf(whole: string): Draft {
  const path = `${whole}.${process.pid}-${startOf(process.pid)}n${pidNamespace}-${randomBytes(3).toString('hex')}.part`;
  return {
    path,
    commit: () => rename(path, whole),
    discard: () => rm(path, { recursive: true, force: true }),
  };
}

/** The rule above, and those of earlier versions: without the namespace, and `<whole>.<pid>.part`. */
const SUFFIX = /^\.(\d+)(?:-(alive|\d+)(?:n(\d*))?-[0-9a-f]{6})?\.part$/;
/** A draft of another PID namespace belongs to nobody when nothing was written for so long. */
const SILENT_MS = 86_400_000;

/** Of the draft `name` of `whole` (a name, too): whether its process is there. Undefined for what is no draft of it. */
function makerOf(name: string, whole: string): 'alive' | 'gone' | 'elsewhere' | undefined {
  const suffix = name.startsWith(whole) ? SUFFIX.exec(name.slice(whole.length)) : null;
  if (suffix === null) return undefined;
  const [, pid, start, namespace = pidNamespace] = suffix;
  if (namespace !== pidNamespace) return 'elsewhere';
  const gone = start === undefined ? !isAlive(Number(pid)) : startOf(Number(pid)) !== start;
  return gone ? 'gone' : 'alive';
}

/** Whether `name` in `folder` is a draft of `whole` that a process left when it was killed. */
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
 * named pipe or a device such as /dev/null is never replaced: the bytes are written to it directly.
 */
export async function openDraft(whole: string): Promise<OpenDraft> {
  if (await isSpecial(whole)) {
    const file = await open(whole, 'w');
    return { file, commit: () => file.close(), discard: () => file.close() };
  }
  const place = await realpath(whole).catch(() => whole);
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
