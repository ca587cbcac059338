import { closeSync, constants, fstat, openSync, readlinkSync, realpathSync, type BigIntStats } from 'node:fs';
import { lstat, open, readFile, readlink, realpath, type FileHandle } from 'node:fs/promises';
import { join, sep } from 'node:path';
import { QalignError } from '../errors.js';

/** Limits access to files below `top` and outside the folders `own`. All are paths without links. */
export interface Reach {
  /** Empty: no access. */
  readonly top: string;
  readonly own: readonly string[];
}

/** The folder with links to open files; macOS has none. */
export const DESCRIPTORS = '/proc/self/fd';
/** Flags for reading. Opening never blocks, even for a FIFO. */
export const READ = constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY;

export const isBelow = (top: string, path: string): boolean => path.startsWith(top.endsWith(sep) ? top : top + sep);

/** Whether a path without links is below the top and outside the folders of the service. */
export const isInReach = ({ top, own }: Reach, real: string): boolean =>
  top !== '' && isBelow(top, real) && !own.some((folder) => real === folder || isBelow(folder, real));

export const outOfReach = (path: string | Buffer): QalignError =>
  new QalignError(
    'PATH_FORBIDDEN',
    `The path ${JSON.stringify(path.toString().slice(0, 4096))} is outside the served root, or inside a folder of the service (data_dir, runs_dir); name a file below the root.`,
  );

/**
 * Returns the path of an open file without links. Without /proc this is the real path of its name, if that still refers
 * to the open file. A writer who swaps a folder twice in between can then hide the place of the file.
 *
 * @throws QalignError MEDIA_NOT_FOUND, without /proc, for a file that was replaced after it was opened
 */
export async function placeOf(
  descriptor: number,
  path: string | Buffer,
  descriptors: string = DESCRIPTORS,
): Promise<{ readonly place: string; readonly isShown: boolean }> {
  const shown = await readlink(join(descriptors, String(descriptor))).catch(() => undefined);
  if (shown !== undefined) return { place: shown, isShown: true };
  const place = await realpath(path.toString());
  const [found, there] = await Promise.all([statOf(descriptor), lstat(place, { bigint: true })]);
  if (there.dev === found.dev && there.ino === found.ino) return { place, isShown: false };
  throw new QalignError(
    'MEDIA_NOT_FOUND',
    `${JSON.stringify(path.toString())} was replaced while it was opened; try again.`,
  );
}

/** The entry of an open file, with exact sizes and times. */
export const statOf = (descriptor: number): Promise<BigIntStats> =>
  new Promise((resolve, reject) => {
    fstat(descriptor, { bigint: true }, (error, found) => (error === null ? resolve(found) : reject(error)));
  });

/** Checks the place of an open file. Without `within` it does nothing. @throws QalignError PATH_FORBIDDEN */
export async function requireInReach(
  descriptor: number,
  path: string | Buffer,
  within: Reach | undefined,
): Promise<void> {
  if (within === undefined) return;
  const { place } = await placeOf(descriptor, path);
  if (!isInReach(within, place)) throw outOfReach(path);
}

/** Opens a file, checks the place of the descriptor, and returns the handle. @throws QalignError PATH_FORBIDDEN */
export async function openWithin(path: string, within: Reach | undefined): Promise<FileHandle> {
  if (within === undefined) return open(path);
  const file = await open(path, READ);
  try {
    await requireInReach(file.fd, path, within);
    return file;
  } catch (error) {
    await file.close();
    throw error;
  }
}

/** Reads a whole file through a checked descriptor. @throws QalignError PATH_FORBIDDEN */
export async function readWithin(path: string, within: Reach | undefined): Promise<Buffer> {
  if (within === undefined) return readFile(path);
  const file = await openWithin(path, within);
  try {
    return await file.readFile();
  } finally {
    await file.close();
  }
}

/** A file or folder that stays open: `path` refers to it even if its name is replaced. */
export interface Held<P extends string | Buffer = string> {
  readonly path: P | string;
  /** Its path without links when it was opened. */
  readonly place: P | string;
  readonly close: () => void;
}

/**
 * Opens a folder and checks its place; the top itself is allowed. Without `within` or /proc, `path` is the given name.
 * @throws QalignError PATH_FORBIDDEN, errors of `node:fs`
 */
export function holdFolder<P extends string | Buffer>(path: P, within: Reach | undefined): Held<P> {
  return hold(path, within, constants.O_DIRECTORY);
}

/** Opens a file that other code opens again by the returned path. */
export function holdFile<P extends string | Buffer>(path: P, within: Reach | undefined): Held<P> {
  return hold(path, within, 0);
}

function hold<P extends string | Buffer>(path: P, within: Reach | undefined, flags: number): Held<P> {
  if (within === undefined) return { path, place: path, close() {} };
  const descriptor = openSync(path, READ | flags);
  try {
    const link = `${DESCRIPTORS}/${descriptor}`;
    const shown = linkTarget(link);
    const place = shown ?? realpathSync(path.toString());
    if (!isInReach(within, place) && !(flags !== 0 && place === within.top)) throw outOfReach(path);
    return { path: shown === undefined ? path : link, place, close: () => closeSync(descriptor) };
  } catch (error) {
    closeSync(descriptor);
    throw error;
  }
}

function linkTarget(link: string): string | undefined {
  try {
    return readlinkSync(link);
  } catch {
    return undefined;
  }
}
