import { chmodSync, closeSync, lstatSync, openSync, readdirSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { QalignError } from '../base/errors.js';
import { makeFolder } from '../base/files/make-folder.js';
import { openDatabase } from '../base/files/sqlite.js';
import { reasonOf } from '../base/files/reason.js';

/** What SQLite says of a file that is no database of ours. */
const DAMAGED = ['SQLITE_NOTADB', 'SQLITE_CORRUPT', 'SQLITE_SCHEMA', 'SQLITE_ERROR'];
/** All that a service keeps in its data folder. */
const FOLDERS = ['jobs', 'works', 'uploads'];
const OWN = new RegExp(`^(?:service\\.(?:db|lock)(?:-wal|-shm|-journal)?|${FOLDERS.join('|')})$`);
const NAME_ANOTHER = 'name one that can be written: data_dir=DIR of qalign serve, --data-dir DIR of qalign keys';

/**
 * Makes the data folder of a service and its database private (0700, 0600). A folder that holds other things keeps its
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

/** The owner alone may change the mode; a volume of a container may belong to another user. */
function restrict(path: string, mode: number): void {
  try {
    chmodSync(path, mode);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') throw error;
  }
}

export const isOpenToOthers = (dataDir: string): boolean => (statSync(dataDir).mode & 0o077) !== 0;

/** A file that SQLite opens afterwards keeps this mode, and so do its -wal and -shm. */
function makePrivate(file: string): void {
  const found = lstatSync(file, { throwIfNoEntry: false });
  if (found === undefined) closeSync(openSync(file, 'a', 0o600));
  else if (found.isFile()) restrict(file, 0o600);
  else
    throw new QalignError('CONFIG_INVALID', `${file} is not a regular file; move it away, or name another data_dir.`);
}

/** Where nothing is, the folder is made when it is needed. */
function requireFolder(path: string): void {
  if (lstatSync(path, { throwIfNoEntry: false }) === undefined) return;
  if (statSync(path, { throwIfNoEntry: false })?.isDirectory() === true) return;
  throw new QalignError('CONFIG_INVALID', `${path} is not a folder; move it away, or name another data_dir.`);
}

/**
 * Takes the data folder for one service. The lock is SQLite's (fcntl), not a process id: the system releases it when
 * the process ends, and it holds across containers that share the folder. `qalign keys` works beside it.
 * @returns what releases it. @throws QalignError DATA_DIR_IN_USE, CONFIG_INVALID, OUTPUT_UNWRITABLE
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
      `The data folder ${folder} belongs to a service that is running; stop that one first, or give this one a folder of its own with data_dir=DIR.`,
    );
  }
}

/** The one sentence for each way in which a data folder cannot be used. */
export function unusable(folder: string, error: unknown): QalignError {
  if (error instanceof QalignError) return error;
  const { code = '', message } = error as NodeJS.ErrnoException;
  if (['EEXIST', 'ENOTDIR'].includes(code))
    return new QalignError(
      'OUTPUT_UNWRITABLE',
      `The data folder ${folder} of the service is a file, or lies below one; ${NAME_ANOTHER}.`,
      { cause: error },
    );
  if (DAMAGED.includes(code))
    return new QalignError(
      'CONFIG_INVALID',
      `${join(folder, 'service.db')} is damaged (${message}); restore it from a backup, or move it away: keys and the list of jobs are then lost.`,
      { cause: error },
    );
  if (code === 'SQLITE_BUSY')
    return new QalignError(
      'OUTPUT_UNWRITABLE',
      `${join(folder, 'service.db')} is locked by another process that writes; try again.`,
      { cause: error },
    );
  return new QalignError(
    'OUTPUT_UNWRITABLE',
    `The data folder ${folder} of the service cannot be used (${reasonOf(error)}); ${NAME_ANOTHER}.`,
    { cause: error },
  );
}
