import { QalignError } from '../errors.js';

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

/** Runs work that only writes: whatever it throws means that the output could not be written. */
export async function guardWrite<T>(
  work: () => Promise<T>,
  sentence: (error: NodeJS.ErrnoException) => string,
): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw asUnwritable(error, sentence);
  }
}
