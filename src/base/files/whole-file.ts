import { mkdir, open, readdir, rename, rm, stat, type FileHandle } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { isAlive } from '../../../bridge/process.js';
import { QalignError } from '../errors.js';

const BUFFER = 1 << 18;

/** A text file that appears under its name whole or not at all: written beside, synced, renamed. */
export interface WholeFile {
  readonly path: string;
  /** Resolves, or returns nothing at once where the text only came into the buffer. */
  write(text: string): Promise<void> | undefined;
  /** Makes it appear. */
  commit(): Promise<void>;
  /** Removes what was written; harmless after `commit`. */
  discard(): Promise<void>;
}

/** @throws QalignError OUTPUT_UNWRITABLE, here and from every method */
export async function openWhole(path: string): Promise<WholeFile> {
  const temporary = `${path}.${process.pid}.part`;
  const file = await guard(path, async () => {
    if (await isFolder(path)) throw new Error('it is a folder');
    await mkdir(dirname(path), { recursive: true });
    await removeLeftovers(path);
    return open(temporary, 'w');
  });
  let held: string[] = [];
  let length = 0;
  let done = false;
  // one write is under way while the next text is made; its failure is thrown by the next flush
  let writing: Promise<void> = Promise.resolve();
  const flush = async (): Promise<void> => {
    const text = held.join('');
    held = [];
    length = 0;
    await writing;
    writing = file.writeFile(text);
    writing.catch(() => undefined);
  };
  return {
    path,
    write(text) {
      held.push(text);
      length += text.length;
      return length < BUFFER ? undefined : guard(path, flush);
    },
    async commit() {
      await guard(path, async () => {
        await flush();
        await writing;
        await file.sync();
        await file.close();
        await rename(temporary, path);
        done = true;
        await syncFolder(dirname(path));
      });
    },
    async discard() {
      if (done) return;
      await writing.catch(() => undefined);
      await file.close().catch(() => undefined);
      await rm(temporary, { force: true });
    },
  };
}

async function isFolder(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );
}

/** What a process that was killed had written of this file. */
async function removeLeftovers(path: string): Promise<void> {
  const start = `${basename(path)}.`;
  for (const name of await readdir(dirname(path))) {
    const pid = name.startsWith(start) ? /^(\d+)\.part$/.exec(name.slice(start.length))?.[1] : undefined;
    if (pid !== undefined && !isAlive(Number(pid))) await rm(join(dirname(path), name), { force: true });
  }
}

/** The rename itself is on the disk only when its folder is. */
async function syncFolder(path: string): Promise<void> {
  const folder: FileHandle = await open(path);
  await folder.sync().finally(() => folder.close());
}

async function guard<T>(path: string, act: () => Promise<T>): Promise<T> {
  try {
    return await act();
  } catch (cause) {
    throw new QalignError('OUTPUT_UNWRITABLE', `${path} could not be written: ${(cause as Error).message}.`, { cause });
  }
}
