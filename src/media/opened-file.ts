import { close, constants, fstat, lstat, open, type BigIntStats } from 'node:fs';
import { readlink, realpath } from 'node:fs/promises';
import { promisify } from 'node:util';
import { QalignError } from '../base/errors.js';
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

const DESCRIPTORS = '/proc/self/fd';
// O_NOFOLLOW: for a real path, no link is followed. O_NONBLOCK: opening never blocks, even for a FIFO
const FLAGS = constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY | constants.O_NOFOLLOW;

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
    const link = `${descriptors}/${descriptor}`;
    const shown = await readlink(link).catch(() => undefined);
    return {
      descriptor,
      place: shown ?? (await placeByName(path, found)),
      path: shown === undefined ? undefined : link,
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

async function placeByName(path: string, { dev, ino }: BigIntStats): Promise<string> {
  const place = await realpath(path);
  const there = await new Promise<BigIntStats>((resolve, reject) => {
    lstat(place, { bigint: true }, (error, found) => (error === null ? resolve(found) : reject(error)));
  });
  if (there.dev === dev && there.ino === ino) return place;
  throw new QalignError('MEDIA_NOT_FOUND', `${JSON.stringify(path)} was replaced while it was opened; try again.`);
}
