/** The boundary of src/base/files: how files are locked, written and read; nothing of what is in them. */
import { mkdir, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { draftOf, openDraft, removeLeftovers } from './draft.js';
import { guardWrite } from './unwritable.js';
import { reasonOf } from './reason.js';

const BUFFER = 1 << 18;

/**
 * A text file that appears under its name whole or not at all: written beside, synced, renamed. A pipe or device gets
 * the text as it comes.
 */
export interface WholeFile {
  readonly path: string;
  /** Resolves, or returns nothing at once where the text only came into the buffer. */
  write(text: string): Promise<void> | undefined;
  /** Makes it appear. */
  commit(): Promise<void>;
  /** Removes what was written; harmless after `commit`. */
  discard(): Promise<void>;
}

export interface WholeFileOptions {
  /** Make the folder where there is none. Default true. */
  readonly makeFolder?: boolean;
  /** Replace a symbolic link, pipe or device that has its name, in place of writing where it leads. Default false. */
  readonly replace?: boolean;
  /** The message of OUTPUT_UNWRITABLE. */
  readonly sentence?: (error: NodeJS.ErrnoException) => string;
}

/** @throws QalignError OUTPUT_UNWRITABLE, here and from every method */
export async function openWhole(
  path: string,
  {
    makeFolder = true,
    replace = false,
    sentence = (error) => `${path} could not be written: ${reasonOf(error)}.`,
  }: WholeFileOptions = {},
): Promise<WholeFile> {
  const guard = <T>(work: () => Promise<T>): Promise<T> => guardWrite(work, sentence);
  const draft = await guard(async () => {
    if (await isFolder(path)) throw Object.assign(new Error('it is a folder'), { code: 'EISDIR' });
    if (makeFolder) await mkdir(dirname(path), { recursive: true });
    return openDraft(path, { replace });
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

/** A text file at once. @throws QalignError OUTPUT_UNWRITABLE */
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
 * A file or folder that something else writes: `make` gets the path of a draft, which takes its name when `make` is
 * done and is removed when it fails. The folder around it is made. An existing folder must be removed by `make`.
 * Errors are those of the file system and of `make`.
 */
export async function makeWhole<T>(path: string, make: (draft: string) => Promise<T>): Promise<T> {
  await mkdir(dirname(path), { recursive: true });
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
