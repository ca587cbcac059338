import { access, constants, mkdir } from 'node:fs/promises';
import { QalignError } from '../errors.js';
import { reasonOf } from './reason.js';

/** There is no room. SQLite reports a full disk as SQLITE_FULL or, where a file cannot grow, as SQLITE_IOERR_*. */
const FULL = ['ENOSPC', 'EDQUOT', 'SQLITE_FULL'];
/** The file cannot be written for another reason than room: its size, the device, open files, permissions. */
const REFUSED = ['EFBIG', 'EIO', 'EMFILE', 'EACCES', 'EROFS'];

const codeOf = (error: unknown): string => String((error as NodeJS.ErrnoException | undefined)?.code ?? '');

/**
 * Whether the disk is full. For errors of unknown origin: they may come from reading, where EACCES, EIO and EMFILE say
 * nothing about an output.
 */
export function isDiskFull(error: unknown): boolean {
  const code = codeOf(error);
  return FULL.includes(code) || code.startsWith('SQLITE_IOERR');
}

/** Whether a write failed, judged by its code. For work that writes and does other things as well. */
export function isWriteError(error: unknown): boolean {
  return isDiskFull(error) || REFUSED.includes(codeOf(error));
}

/** OUTPUT_UNWRITABLE with the sentence of the place that writes; a QalignError stays as it is. */
export function asUnwritable(error: unknown, sentence: (error: NodeJS.ErrnoException) => string): QalignError {
  return error instanceof QalignError
    ? error
    : new QalignError('OUTPUT_UNWRITABLE', sentence(error as NodeJS.ErrnoException), { cause: error });
}

/** Calls that change the disk, and `open`, whose codes below say that a file was to be written. */
const WRITING = [
  'mkdir',
  'mkdtemp',
  'rename',
  'link',
  'symlink',
  'unlink',
  'rmdir',
  'write',
  'ftruncate',
  'fsync',
  'copyfile',
];

/**
 * The last net, for what no other place has caught: an error of the file system about a place that cannot be written.
 * Undefined for any other error.
 */
export function unwritablePlace(error: unknown): QalignError | undefined {
  const { syscall = '', path } = (error ?? {}) as NodeJS.ErrnoException;
  if (!WRITING.includes(syscall) && !(syscall === 'open' && isWriteError(error))) return undefined;
  return asUnwritable(
    error,
    () =>
      `${path ?? 'The output'} cannot be written (${reasonOf(error)}); free some space, or name a folder that can be written.`,
  );
}

/** Makes a folder, unless it is there, in which files can be made. @throws QalignError OUTPUT_UNWRITABLE */
export async function makeFolder(path: string, advice: string): Promise<void> {
  const make = async (): Promise<void> => {
    await mkdir(path, { recursive: true });
    await access(path, constants.W_OK | constants.X_OK);
  };
  await guardWrite(make, (error) => `The folder ${path} cannot be written (${reasonOf(error)}); ${advice}.`);
}

/** Of the system or of SQLite; a fault in the data or in the program has none. */
const isOfSystem = (error: unknown): boolean => /^(?:E[A-Z0-9]+|SQLITE_\w+)$/.test(codeOf(error));

/** Runs work that writes. An error of the system means that the output could not be written; others pass. */
export async function guardWrite<T>(
  work: () => Promise<T>,
  sentence: (error: NodeJS.ErrnoException) => string,
): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw isOfSystem(error) ? asUnwritable(error, sentence) : error;
  }
}
