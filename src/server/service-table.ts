import type { Db } from '../base/files/sqlite.js';

type Value = string | number | null;

export interface Page {
  readonly limit: number;
  readonly offset: number;
}

/** Maps a record to its row: column names in snake_case, null for undefined, JSON for structured values. */
export interface Columns<T, Row> {
  readonly toRow: (record: T) => Row;
  readonly fromRow: (row: Row) => T;
}

/** One table of the service's database. Its rows have an id, a status and a creation time. */
export interface ServiceTable<T, Row> {
  insert(record: T): void;
  /** Updates these columns of the record with the same id; does nothing if there is none. */
  update(record: T, columns: readonly (keyof Row & string)[]): void;
  get(id: string): T | undefined;
  /** Newest first. A column with the value undefined does not filter. */
  list(where: Readonly<Partial<Record<keyof Row & string, Value | undefined>>>, page: Page): T[];
  /** All records in one of these states, oldest first. */
  inStatus(...statuses: readonly string[]): T[];
}

/** `name` and the columns come only from code, because they are inserted into SQL unescaped. */
export function openServiceTable<T extends { readonly id: string }, Row extends object>(
  database: Db,
  name: string,
  { toRow, fromRow }: Columns<T, Row>,
): ServiceTable<T, Row> {
  const select = (rest: string, ...values: readonly Value[]): T[] =>
    (database.prepare(`SELECT * FROM ${name} ${rest}`).all(...values) as Row[]).map(fromRow);
  return {
    insert(record) {
      const row = toRow(record);
      const columns = Object.keys(row);
      database
        .prepare(`INSERT INTO ${name} (${columns.join(', ')}) VALUES (${marks(columns.length)})`)
        .run(...(Object.values(row) as Value[]));
    },
    update(record, columns) {
      const row = toRow(record);
      database
        .prepare(`UPDATE ${name} SET ${columns.map((column) => `${column} = ?`).join(', ')} WHERE id = ?`)
        .run(...columns.map((column) => row[column]), record.id);
    },
    get: (id) => select('WHERE id = ?', id)[0],
    list(where, { limit, offset }) {
      const given = Object.entries<Value | undefined>(where).filter(
        (entry): entry is [string, Value] => entry[1] !== undefined,
      );
      const filter = given.map(([column]) => `${column} = ?`).join(' AND ');
      return select(
        `${filter === '' ? '' : `WHERE ${filter}`} ORDER BY created_at DESC, id LIMIT ? OFFSET ?`,
        ...given.map(([, value]) => value),
        limit,
        offset,
      );
    },
    inStatus: (...statuses) =>
      select(`WHERE status IN (${marks(statuses.length)}) ORDER BY created_at, id`, ...statuses),
  };
}

const marks = (count: number): string => Array.from({ length: count }, () => '?').join(', ');
