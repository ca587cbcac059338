import { mkdirSync, rmSync } from 'node:fs';
import { dirname } from 'node:path';
import Database from 'libsql';

export type Db = Database.Database;

/** The one door to libsql. Makes the folder and, by `schema` (CREATE … IF NOT EXISTS), the tables. */
export function openDatabase(file: string, schema: string): Db {
  mkdirSync(dirname(file), { recursive: true });
  const database = new Database(file);
  database.exec(schema);
  return database;
}

/** For an index that can be made again: a damaged file is thrown away. */
export function openIndex(file: string, schema: string): Db {
  try {
    return openDatabase(file, schema);
  } catch {
    for (const end of ['', '-wal', '-shm']) rmSync(file + end, { force: true });
    return openDatabase(file, schema);
  }
}
