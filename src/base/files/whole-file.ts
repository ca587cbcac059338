/** src/base/files locks, writes and reads files. Nothing here knows about their content. */
import { stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { draftOf, openDraft, removeLeftovers } from './draft.js';
import { makeFolder } from './make-folder.js';
import { guardWrite } from './unwritable.js';
import { reasonOf } from './reason.js';

const BUFFER = 1 << 18;

/**
 * A text file that appears complete or not at all: it is written under a temporary name, synced and renamed. A pipe or
 * device receives the text directly.
 */
export interface WholeFile {
  readonly path: string;
  /** Returns undefined if the text only went to the buffer, otherwise a promise of the write. */
  write(text: string): Promise<void> | undefined;
  /** Gives the file its final name. */
  commit(): Promise<void>;
  /** Removes the written text. Does nothing after `commit`. */
  discard(): Promise<void>;
}

export interface WholeFileOptions {
  /** Create the folder if it does not exist. Default: true. */
  readonly makeFolder?: boolean;
  /** Replace a symbolic link, pipe or device of this name instead of writing to it. Default: false. */
  readonly replace?: boolean;
  /** Creates the message of OUTPUT_UNWRITABLE. */
  readonly sentence?: (error: NodeJS.ErrnoException) => string;
}

/** Opens a whole file. @throws QalignError OUTPUT_UNWRITABLE, also from every method */
export async function openWhole(
  path: string,
  {
    makeFolder: makesFolder = true,
    replace = false,
    sentence = (error) => `${path} could not be written: ${reasonOf(error)}.`,
  }: WholeFileOptions = {},
): Promise<WholeFile> {
  const guard = <T>(work: () => Promise<T>): Promise<T> => guardWrite(work, sentence);
  const draft = await guard(async () => {
    if (await isFolder(path)) throw Object.assign(new Error('the path is a folder'), { code: 'EISDIR' });
    if (makesFolder) makeFolder(dirname(path));
    return openDraft(path, { replace });
  });
  let held: string[] = [];
  let length = 0;
  let done = false;
  // one write runs while the next text is created; the next flush throws its error
  let writing: Promise<void> = Promise.resolve();
  const flush = async (): Promise<void> => {
    const text = held.join('');
    held = [];
    length = 0;
    await writing;
    writing = draft.file.writeFile(text);
    writing.catch(() => undefined);
  };
  return {
    path,
    write(text) {
      held.push(text);
      length += text.length;
      return length < BUFFER ? undefined : guard(flush);
    },
    async commit() {
      await guard(async () => {
        await flush();
        await writing;
        await draft.commit();
        done = true;
      });
    },
    async discard() {
      if (done) return;
      await writing.catch(() => undefined);
      await draft.discard();
    },
  };
}

/** Writes a text file in one call. @throws QalignError OUTPUT_UNWRITABLE */
export async function writeWhole(path: string, text: string): Promise<void> {
  const file = await openWhole(path);
  try {
    await file.write(text);
    await file.commit();
  } finally {
    await file.discard();
  }
}

/**
 * Calls `make` with the path of a draft, renames the draft when `make` resolves, and removes it when `make` rejects.
 * The parent folder is created. `make` must remove an existing folder at `path`. Errors are those of the file system
 * and of `make`.
 */
export async function makeWhole<T>(path: string, make: (draft: string) => Promise<T>): Promise<T> {
  makeFolder(dirname(path));
  await removeLeftovers(path);
  const draft = draftOf(path);
  try {
    const made = await make(draft.path);
    await draft.commit();
    return made;
  } finally {
    await draft.discard();
  }
}

async function isFolder(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );
}
