import type { ViewRow, ViewRows, ViewRowsQuery, ViewSummary } from '../../api/view.js';
import { openTemporary, type Db } from '../../base/files/sqlite.js';
import { doubtsOf } from '../../scoring/doubts.js';
import type { StoredRow } from './view-row.js';

/** Where a row is in its file, and its input. */
export interface RowPlace {
  readonly start: number;
  readonly length: number;
  readonly input: string;
  readonly input_base64: string | null;
}

/**
 * The rows of a results file in a temporary database: sorted and filtered in constant memory. A million rows take about
 * 300 MB of disk space in the folder for temporary files.
 */
export interface RowIndex {
  add(row: StoredRow, start: number, length: number): void;
  /** Call it after the last `add`. */
  finish(): void;
  summary(): Omit<ViewSummary, 'name' | 'cut'>;
  rows(query: ViewRowsQuery): ViewRows;
  row(n: number): ViewRow | undefined;
  place(n: number): RowPlace | undefined;
  close(): void;
}

const COLUMNS = [
  'n',
  'start',
  'length',
  'input',
  'input_base64',
  'task',
  'score',
  'level',
  'level_probs',
  'level_mass',
  'entropy',
  'warnings',
  'code',
  'message',
  'shared',
  'state',
] as const;
const SCHEMA = `
CREATE TABLE shared (id INTEGER PRIMARY KEY, scale TEXT, model TEXT, score_version TEXT);
CREATE TABLE rows (n INTEGER PRIMARY KEY, start INTEGER, length INTEGER, input TEXT, input_base64 TEXT, task TEXT,
  score REAL, level TEXT, level_probs TEXT, level_mass REAL, entropy REAL, warnings TEXT, code TEXT, message TEXT,
  shared INTEGER, state INTEGER);`;
const SELECT = 'SELECT rows.*, scale, model, score_version FROM rows JOIN shared ON shared.id = rows.shared';
/** Values of the column `state`. */
const [PLAIN, DOUBTFUL, FAILED] = [0, 1, 2];
const SHOWN = { all: '1', scored: `state < ${FAILED}`, doubtful: `state = ${DOUBTFUL}`, failed: `state = ${FAILED}` };
/** Sort keys. Each gets an index at its first use, which takes seconds for a million rows. */
const KEYS = { name: 'lower(input)', score: 'score', entropy: 'entropy', level_mass: 'level_mass' } as const;
const BINS = 40;

type Stored = Record<(typeof COLUMNS)[number], string | number | null> &
  Pick<ViewRow, 'scale' | 'model' | 'score_version'>;

export function createRowIndex(): RowIndex {
  const { database, close } = openTemporary(SCHEMA);
  const insert = database.prepare(`INSERT INTO rows VALUES (${COLUMNS.map(() => '?').join(', ')})`);
  const sharedIds = new Map<string, number>();
  let count = 0;
  const idOf = ({ scale, model, score_version }: StoredRow): number => {
    const key = JSON.stringify([scale, model, score_version]);
    const known = sharedIds.get(key);
    if (known !== undefined) return known;
    const id = sharedIds.size + 1;
    database.prepare('INSERT INTO shared VALUES (?, ?, ?, ?)').run(id, scale, model, score_version);
    sharedIds.set(key, id);
    return id;
  };
  database.exec('BEGIN');
  return {
    add(row, start, length) {
      count += 1;
      const state = row.error !== null ? FAILED : doubtsOfRow(row).length > 0 ? DOUBTFUL : PLAIN;
      const { input, input_base64, task, score, level, level_mass, entropy, error } = row;
      insert.run(
        ...[count, start, length, input, input_base64, task, score, level],
        row.level_probs === null ? null : JSON.stringify(row.level_probs),
        ...[level_mass, entropy],
        row.warnings.length === 0 ? null : JSON.stringify(row.warnings),
        ...[error?.code ?? null, error?.message ?? null, idOf(row), state],
      );
    },
    finish: () => void database.exec('COMMIT'),
    summary: () => summaryOf(database),
    rows: createRowsQuery(database),
    row(n) {
      const found = database.prepare(`${SELECT} WHERE n = ?`).get(n) as Stored | undefined;
      return found === undefined ? undefined : fromStored(found);
    },
    place: (n) =>
      database.prepare('SELECT start, length, input, input_base64 FROM rows WHERE n = ?').get(n) as
        RowPlace | undefined,
    close,
  };
}

const doubtsOfRow = ({ warnings, level_mass, entropy }: StoredRow): string[] =>
  doubtsOf({ warnings, level_mass: level_mass ?? 1, entropy: entropy ?? 0 });

/** Finds the numbers of the rows by an index alone, and then reads these rows. */
function createRowsQuery(database: Db): RowIndex['rows'] {
  const indexed = new Set<string>();
  const counts = new Map<string, number>();
  return ({ offset = 0, limit = 100, sort = 'order', down = false, show = 'all', text = '' }) => {
    const where = `${SHOWN[show]}${text === '' ? '' : ' AND instr(lower(input), lower(?)) > 0'}`;
    const given = text === '' ? [] : [text];
    const way = down ? 'DESC' : 'ASC';
    const count = (condition: string): number => {
      const key = JSON.stringify([condition, text]);
      const { c } = counts.has(key)
        ? { c: counts.get(key)! }
        : (database.prepare(`SELECT count(*) AS c FROM rows WHERE ${condition}`).get(...given) as { c: number });
      if (counts.size > 100) counts.clear();
      counts.set(key, c);
      return c;
    };
    const numbers = (condition: string, order: string, from: number, most: number): number[] =>
      most <= 0
        ? []
        : (
            database
              .prepare(`SELECT n FROM rows WHERE ${condition} ORDER BY ${order} LIMIT ? OFFSET ?`)
              .all(...given, most, from) as { n: number }[]
          ).map(({ n }) => n);
    const total = count(where);
    let found: number[];
    if (sort === 'order') found = numbers(where, `n ${way}`, offset, limit);
    else {
      const key = KEYS[sort];
      if (text === '' && !indexed.has(sort)) database.exec(`CREATE INDEX by_${sort} ON rows (${key}, n, state)`);
      if (text === '') indexed.add(sort);
      // rows without a value are last in both directions
      const [valued, empty] = [`${key} IS NOT NULL AND ${where}`, `${key} IS NULL AND ${where}`];
      // a filter by name reads every row, which is faster in the order of the file; + keeps SQLite from using the index
      const order = text === '' ? key : `+${key}`;
      found = numbers(valued, `${order} ${way}, n ${way}`, offset, limit);
      const rest = limit - found.length;
      if (rest > 0) found.push(...numbers(empty, 'n', Math.max(0, offset - count(valued)), rest));
    }
    const read = database.prepare(`${SELECT} WHERE n = ?`);
    return { total, rows: found.map((n) => fromStored(read.get(n) as Stored)) };
  };
}

function fromStored(row: Stored): ViewRow {
  const { n, input, task, score, level, level_probs, level_mass, entropy, warnings, code, message } = row;
  return {
    ...({ n, input, task, score, level, level_mass, entropy } as Pick<ViewRow, 'n' | 'input' | 'task' | 'score'> &
      Pick<ViewRow, 'level' | 'level_mass' | 'entropy'>),
    scale: row.scale,
    model: row.model,
    score_version: row.score_version,
    level_probs: level_probs === null ? null : (JSON.parse(level_probs as string) as number[]),
    warnings: warnings === null ? [] : (JSON.parse(warnings as string) as string[]),
    error: code === null ? null : { code: code as string, message: (message ?? '') as string },
  };
}

function summaryOf(database: Db): Omit<ViewSummary, 'name' | 'cut'> {
  const totals = database
    .prepare(
      'SELECT count(*) AS rows, total(state < 2) AS scored, total(state = 2) AS failed, total(state = 1) AS doubtful, count(score) AS values_, avg(score) AS mean, min(score) AS low, max(score) AS high FROM rows',
    )
    .get() as {
    rows: number;
    scored: number;
    failed: number;
    doubtful: number;
    mean: number | null;
    low: number;
    high: number;
    values_: number;
  };
  const shared = database.prepare('SELECT DISTINCT scale, model FROM shared WHERE model IS NOT NULL').all() as {
    scale: ViewSummary['scale'];
    model: string;
  }[];
  const { low, high, rows, scored, failed, doubtful, mean } = totals;
  const scales = [...new Set(shared.map((one) => one.scale).filter((scale) => scale !== null))];
  const isMixed = scales.length > 1;
  return {
    rows,
    scored,
    failed,
    doubtful,
    mean: isMixed ? null : mean,
    models: [...new Set(shared.map(({ model }) => model))],
    scale: scales.length === 1 ? scales[0]! : null,
    histogram: isMixed || totals.values_ === 0 ? null : { from: low, to: high, counts: countsOf(database, low, high) },
  };
}

function countsOf(database: Db, low: number, high: number): number[] {
  if (low === high)
    return [database.prepare('SELECT count(score) AS c FROM rows').get() as { c: number }].map(({ c }) => c);
  const found = database
    .prepare(
      'SELECT min(?, CAST((score - ?) / (? - ?) * ? AS INTEGER)) AS bin, count(*) AS c FROM rows WHERE score IS NOT NULL GROUP BY bin',
    )
    .all(BINS - 1, low, high, low, BINS) as { bin: number; c: number }[];
  const counts = new Array<number>(BINS).fill(0);
  for (const { bin, c } of found) counts[bin] = c;
  return counts;
}
