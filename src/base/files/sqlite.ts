import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import Database from 'libsql';

export type Db = Database.Database;

/** Milliseconds that a statement waits for another process that is writing. */
const BUSY_MS = 5_000;
/** SQLite error codes of a damaged database, as opposed to a full disk or a database in use. */
const DAMAGED = ['SQLITE_CORRUPT', 'SQLITE_NOTADB', 'SQLITE_ERROR'];

/**
 * Opens a libsql database; no other file imports libsql. Creates the folder and the tables of `schema` (CREATE … IF NOT
 * EXISTS).
 */
export function openDatabase(file: string, schema: string): Db {
  mkdirSync(dirname(file), { recursive: true });
  const database = new Database(file);
  database.exec(`PRAGMA busy_timeout = ${BUSY_MS}`);
  database.exec(schema);
  return database;
}

/**
 * Opens a database that only this process sees, in the folder for temporary files. Where the system allows it, the
 * file loses its name at once. It is then gone when the process ends in any way.
 */
export function openTemporary(schema: string): { readonly database: Db; readonly close: () => void } {
  const folder = mkdtempSync(join(tmpdir(), 'qalign-index-'));
  const database = new Database(join(folder, 'index.db'));
  database.exec(
    'PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -16000; PRAGMA locking_mode = EXCLUSIVE',
  );
  database.exec(schema);
  const remove = (): void => rmSync(folder, { recursive: true, force: true });
  if (process.platform !== 'win32') remove();
  return {
    database,
    close() {
      database.close();
      remove();
    },
  };
}

/**
 * Runs `work` on an index that only speeds up other work and can be rebuilt. Returns undefined if the index cannot be
 * used, for example on a full or read-only disk, or behind a lock that stays. A damaged index is deleted, and the next
 * call rebuilds it.
 */
export function onIndex<T>(file: string, schema: string, work: (database: Db) => T): T | undefined {
  let database: Db | undefined;
  try {
    database = openDatabase(file, schema);
    return work(database);
  } catch (error) {
    if (DAMAGED.includes((error as { code?: string }).code ?? ''))
      for (const end of ['', '-wal', '-shm', '-journal']) rmSync(file + end, { force: true });
    return undefined;
  } finally {
    database?.close();
  }
}
