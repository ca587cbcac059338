import { close, constants, open, type BigIntStats } from 'node:fs';
import { promisify } from 'node:util';
import { DESCRIPTORS, placeOf, READ, statOf } from '../base/files/reach.js';
import { notRegular, openError } from './image-file.js';

/** A regular file that stays open. Reads return this file even if another file takes its path. */
export interface OpenedFile {
  readonly descriptor: number;
  /** Its path with links resolved, read after the file was opened. */
  readonly place: string;
  /** A path to the open file for every thread of this process. Undefined without /proc (macOS). */
  readonly path: string | undefined;
  readonly found: BigIntStats;
  close(): Promise<void>;
}

// O_NOFOLLOW: for a real path, no link is followed
const FLAGS = READ | constants.O_NOFOLLOW;

/**
 * Opens a regular file and returns its resolved path. The caller closes it. Without /proc, `place` is the real path, if
 * it still leads to the open file. A writer that swaps a folder twice in between could then hide the true place.
 * @param path a real path; a link as its last part is refused
 * @param descriptors the folder in which the system lists open files
 * @throws QalignError MEDIA_NOT_FOUND, MEDIA_UNREADABLE
 */
export async function openFile(path: string, descriptors: string = DESCRIPTORS): Promise<OpenedFile> {
  const descriptor = await promisify(open)(path, FLAGS).catch((error: unknown) => {
    throw openError(path, error);
  });
  try {
    const found = await statOf(descriptor);
    if (!found.isFile()) throw notRegular(path, found);
    const { place, isShown } = await placeOf(descriptor, path, descriptors);
    return {
      descriptor,
      place,
      path: isShown ? `${descriptors}/${descriptor}` : undefined,
      found,
      close: () => promisify(close)(descriptor),
    };
  } catch (error) {
    await promisify(close)(descriptor);
    throw openError(path, error);
  }
}
