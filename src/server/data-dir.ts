import { chmodSync, closeSync, lstatSync, openSync, readdirSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { QalignError } from '../base/errors.js';
import { makeFolder } from '../base/files/make-folder.js';
import { openDatabase } from '../base/files/sqlite.js';
import { reasonOf } from '../base/files/reason.js';

/** Error codes of SQLite for a file that is not one of its databases. */
const DAMAGED = ['SQLITE_NOTADB', 'SQLITE_CORRUPT', 'SQLITE_SCHEMA', 'SQLITE_ERROR'];
/** Names that a service creates in its data directory. */
const FOLDERS = ['jobs', 'works', 'uploads'];
const OWN = new RegExp(`^(?:service\\.(?:db|lock)(?:-wal|-shm|-journal)?|${FOLDERS.join('|')})$`);
const NAME_ANOTHER = 'name one that can be written: data_dir=DIR of qalign serve, --data-dir DIR of qalign keys';

/**
 * Makes the data directory of a service and its database private (0700, 0600). A directory with other content keeps its
 * mode. @throws QalignError CONFIG_INVALID, OUTPUT_UNWRITABLE
 */
export function prepareDataDir(dataDir: string): string {
  const folder = resolve(dataDir);
  try {
    makeFolder(folder, 0o700);
    if (readdirSync(folder).every((name) => OWN.test(name))) restrict(folder, 0o700);
    makePrivate(join(folder, 'service.db'));
    for (const name of FOLDERS) requireFolder(join(folder, name));
  } catch (error) {
    throw unusable(folder, error);
  }
  return folder;
}

/** Only the owner can change the mode; a container volume can belong to another user. */
function restrict(path: string, mode: number): void {
  try {
    chmodSync(path, mode);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') throw error;
  }
}

export const isOpenToOthers = (dataDir: string): boolean => (statSync(dataDir).mode & 0o077) !== 0;

/** SQLite keeps this mode when it opens the file, also for -wal and -shm. */
function makePrivate(file: string): void {
  const found = lstatSync(file, { throwIfNoEntry: false });
  if (found === undefined) closeSync(openSync(file, 'a', 0o600));
  else if (found.isFile()) restrict(file, 0o600);
  else
    throw new QalignError('CONFIG_INVALID', `${file} is not a regular file; move it away, or name another data_dir.`);
}

/** A missing folder is created when it is needed. */
function requireFolder(path: string): void {
  if (lstatSync(path, { throwIfNoEntry: false }) === undefined) return;
  if (statSync(path, { throwIfNoEntry: false })?.isDirectory() === true) return;
  throw new QalignError('CONFIG_INVALID', `${path} is not a folder; move it away, or name another data_dir.`);
}

/**
 * Locks the data directory for one service. The lock is SQLite's (fcntl), not a process id. The system releases it when
 * the process ends, and it works across containers that share the directory. `qalign keys` works while a service runs.
 * @returns a function that releases the lock. @throws QalignError DATA_DIR_IN_USE, CONFIG_INVALID, OUTPUT_UNWRITABLE
 */
export function claimDataDir(dataDir: string): () => void {
  const folder = prepareDataDir(dataDir);
  const file = join(folder, 'service.lock');
  try {
    makePrivate(file);
    const lock = openDatabase(file, 'PRAGMA busy_timeout = 0; BEGIN EXCLUSIVE');
    return () => lock.close();
  } catch (error) {
    if ((error as { code?: string }).code !== 'SQLITE_BUSY') throw unusable(folder, error);
    throw new QalignError(
      'DATA_DIR_IN_USE',
      `The data folder ${folder} is in use by a running service; stop that service first, or name another folder with data_dir=DIR.`,
    );
  }
}

/** Returns the error for each way in which a data directory is unusable. */
export function unusable(folder: string, error: unknown): QalignError {
  if (error instanceof QalignError) return error;
  const { code = '', message } = error as NodeJS.ErrnoException;
  if (['EEXIST', 'ENOTDIR'].includes(code))
    return new QalignError(
      'OUTPUT_UNWRITABLE',
      `The data folder ${folder} of the service, or one of its parent folders, is a file; ${NAME_ANOTHER}.`,
      { cause: error },
    );
  if (DAMAGED.includes(code))
    return new QalignError(
      'CONFIG_INVALID',
      `${join(folder, 'service.db')} is damaged (${message}); restore it from a backup, or move it away; keys and the list of jobs are then lost.`,
      { cause: error },
    );
  if (code === 'SQLITE_BUSY')
    return new QalignError(
      'OUTPUT_UNWRITABLE',
      `${join(folder, 'service.db')} is locked by another process that writes to it; try again.`,
      { cause: error },
    );
  return new QalignError(
    'OUTPUT_UNWRITABLE',
    `The data folder ${folder} of the service cannot be used (${reasonOf(error)}); ${NAME_ANOTHER}.`,
    { cause: error },
  );
}
