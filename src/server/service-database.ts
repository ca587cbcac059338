import { join, resolve } from 'node:path';
import { openDatabase, type Db } from '../base/files/sqlite.js';
import { prepareDataDir, unusable } from './data-dir.js';
import { giveKeysIds } from './key-owners.js';

const SCHEMA = `
  PRAGMA journal_mode = WAL;
  PRAGMA synchronous = FULL;
  PRAGMA busy_timeout = 5000;
  CREATE TABLE IF NOT EXISTS keys (name TEXT PRIMARY KEY, hash TEXT NOT NULL, scopes TEXT NOT NULL, created_at REAL NOT NULL);
  CREATE TABLE IF NOT EXISTS jobs (
    id TEXT PRIMARY KEY, owner TEXT NOT NULL, status TEXT NOT NULL, settings TEXT NOT NULL, total INTEGER NOT NULL,
    done INTEGER NOT NULL, failed INTEGER NOT NULL, warned INTEGER NOT NULL DEFAULT 0, result_bytes INTEGER NOT NULL, message TEXT,
    created_at REAL NOT NULL, finished_at REAL);
  CREATE INDEX IF NOT EXISTS jobs_by_time ON jobs (created_at);
  CREATE TABLE IF NOT EXISTS works (
    id TEXT PRIMARY KEY, kind TEXT NOT NULL, owner TEXT NOT NULL, name TEXT NOT NULL, status TEXT NOT NULL, recipe TEXT NOT NULL,
    fingerprint TEXT NOT NULL, folder TEXT, message TEXT, created_at REAL NOT NULL, finished_at REAL);
  CREATE INDEX IF NOT EXISTS works_by_time ON works (kind, created_at);
  CREATE TABLE IF NOT EXISTS answers (
    key TEXT PRIMARY KEY, fingerprint TEXT NOT NULL, status INTEGER, body TEXT, created_at REAL NOT NULL);
`;

export const serviceDatabase = (dataDir: string): string => join(resolve(dataDir), 'service.db');

/**
 * Keys, jobs and stored answers of a service in `<data_dir>/service.db`. Every commit is on disk (FULL).
 * @throws QalignError CONFIG_INVALID, OUTPUT_UNWRITABLE
 */
export function openServiceDatabase(dataDir: string): Db {
  const folder = prepareDataDir(dataDir);
  try {
    const database = openDatabase(serviceDatabase(folder), SCHEMA);
    giveKeysIds(database);
    addColumn(database, 'jobs', 'warned', 'INTEGER NOT NULL DEFAULT 0');
    addColumn(database, 'jobs', 'items', 'INTEGER NOT NULL DEFAULT 0');
    addColumn(database, 'jobs', 'kept_from', 'REAL');
    return database;
  } catch (error) {
    throw unusable(folder, error);
  }
}

/** Adds a column to databases of earlier versions. */
function addColumn(database: Db, table: string, column: string, type: string): void {
  const columns = database.prepare(`PRAGMA table_info(${table})`).all() as { readonly name: string }[];
  if (!columns.some(({ name }) => name === column)) database.exec(`ALTER TABLE ${table} ADD COLUMN ${column} ${type}`);
}
