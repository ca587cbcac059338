import { close, constants, fstat, open, type BigIntStats } from 'node:fs';
import { promisify } from 'node:util';
import { DESCRIPTORS, placeOf } from '../base/files/reach.js';
import { notRegular, openError } from './image-file.js';

/** A regular file that stays open: whatever is put in its place meanwhile, this one is read. */
export interface OpenedFile {
  readonly descriptor: number;
  /** Its path without links, asked for after it was opened. */
  readonly place: string;
  /** A path that leads to this very file in every thread of this process; undefined where there is no /proc (macOS). */
  readonly path: string | undefined;
  readonly found: BigIntStats;
  close(): Promise<void>;
}

// no link as the last part: who gives a real path sees none followed. Opening never waits, as a FIFO would
const FLAGS = constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY | constants.O_NOFOLLOW;

/**
 * Opens a regular file and says where it lies. The caller closes it. Without /proc its place is the real path, if that
 * still leads to the opened file: a writer who swaps a folder twice in between could hide where it lay.
 * @param path a real path: a link as its last part is refused
 * @param descriptors the folder in which the system shows open files
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

const statOf = (descriptor: number): Promise<BigIntStats> =>
  new Promise((resolve, reject) => {
    fstat(descriptor, { bigint: true }, (error, found) => (error === null ? resolve(found) : reject(error)));
  });
