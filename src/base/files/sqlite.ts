import { mkdirSync, rmSync } from 'node:fs';
import { dirname } from 'node:path';
import Database from 'libsql';

export type Db = Database.Database;

/** How long a statement waits for another process that is writing. */
const BUSY_MS = 5_000;
/** What SQLite says of content that is of no use, unlike a full disk or another process that writes. */
const DAMAGED = ['SQLITE_CORRUPT', 'SQLITE_NOTADB', 'SQLITE_ERROR'];

/** The one door to libsql. Makes the folder and, by `schema` (CREATE … IF NOT EXISTS), the tables. */
export function openDatabase(file: string, schema: string): Db {
  mkdirSync(dirname(file), { recursive: true });
  const database = new Database(file);
  database.exec(`PRAGMA busy_timeout = ${BUSY_MS}`);
  database.exec(schema);
  return database;
}

/**
 * Works on an index that can be made again and must never fail what it only makes quicker: undefined where it cannot be
 * used (a full or read-only disk, a lock that stays). A damaged index is deleted; the next call makes it again.
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
