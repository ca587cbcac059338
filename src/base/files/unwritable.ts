import { access, constants } from 'node:fs/promises';
import { QalignError } from '../errors.js';
import { makeFolder as createFolder } from './make-folder.js';
import { reasonOf } from './reason.js';

/** No space left. SQLite reports a full disk as SQLITE_FULL, or as SQLITE_IOERR_* if a file cannot grow. */
const FULL = ['ENOSPC', 'EDQUOT', 'SQLITE_FULL'];
/** Other write errors: file size, device, open files, permissions. */
const REFUSED = ['EFBIG', 'EIO', 'EMFILE', 'EACCES', 'EROFS'];

const codeOf = (error: unknown): string => String((error as NodeJS.ErrnoException | undefined)?.code ?? '');

/**
 * Returns true if the disk is full. For errors that can also come from reading, where EACCES, EIO and EMFILE do not
 * concern an output.
 */
export function isDiskFull(error: unknown): boolean {
  const code = codeOf(error);
  return FULL.includes(code) || code.startsWith('SQLITE_IOERR');
}

/** Returns true if the code is that of a failed write. For work that does more than write. */
export function isWriteError(error: unknown): boolean {
  return isDiskFull(error) || REFUSED.includes(codeOf(error));
}

/** Converts an error to OUTPUT_UNWRITABLE with the message of `sentence`. Returns a QalignError unchanged. */
export function asUnwritable(error: unknown, sentence: (error: NodeJS.ErrnoException) => string): QalignError {
  return error instanceof QalignError
    ? error
    : new QalignError('OUTPUT_UNWRITABLE', sentence(error as NodeJS.ErrnoException), { cause: error });
}

/** System calls that change the disk. `open` is judged by its error code instead. */
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
 * Converts a file system error about an output that cannot be written. Returns undefined for any other error. For
 * errors that no other code has caught.
 */
export function unwritablePlace(error: unknown): QalignError | undefined {
  const { syscall = '', path } = (error ?? {}) as NodeJS.ErrnoException;
  if (!WRITING.includes(syscall) && !(syscall === 'open' && isWriteError(error))) return undefined;
  return asUnwritable(
    error,
    () =>
      `${path ?? 'The output'} cannot be written (${reasonOf(error)}); free disk space, or choose a writable folder.`,
  );
}

/** Creates a folder if it does not exist and checks that it is writable. @throws QalignError OUTPUT_UNWRITABLE */
export async function makeFolder(path: string, advice: string): Promise<void> {
  const make = async (): Promise<void> => {
    createFolder(path);
    await access(path, constants.W_OK | constants.X_OK);
  };
  await guardWrite(make, (error) => `The folder ${path} cannot be written (${reasonOf(error)}); ${advice}.`);
}

/** Codes of the system or of SQLite. An error in the data or in the program has no such code. */
const isOfSystem = (error: unknown): boolean => /^(?:E[A-Z0-9]+|SQLITE_\w+)$/.test(codeOf(error));

/** Runs work that writes. A system error becomes OUTPUT_UNWRITABLE, and other errors are rethrown. */
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
