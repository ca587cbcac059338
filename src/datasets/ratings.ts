import { basename } from 'node:path';
import { QalignError } from '../base/errors.js';
import type { Reach } from '../base/files/reach.js';
import type { Rating, RatingScan } from './rating.js';
import type { LabelFile } from './spec.js';
import { readLabelFile } from './read/label-file.js';
import { cellOf, type Table, type TableRow } from './read/table.js';

type Column = string | number;
/** Formats a row for messages as `file:row`. A function, because most rows need no message. */
type Place = (row: number) => string;
/** Settings of the data set that apply to all its files. */
export interface RatingRules {
  readonly scale: readonly [number, number] | undefined;
  readonly lowerIsBetter: boolean;
  /** With `lowerIsBetter`, mos = mirror − score. */
  readonly mirror?: number | undefined;
  /** Regular expression that every name matches. */
  readonly names?: string | undefined;
  /** Allowed location of the opened files; default: anywhere. */
  readonly within?: Reach | undefined;
}

/**
 * Opens the ratings of one label file.
 * @throws QalignError of the dataset family with file and row, for missing columns and for invalid or out-of-range
 * values
 */
export async function openRatings(path: string, layout: LabelFile, rules: RatingRules): Promise<RatingScan> {
  const table = await readLabelFile(path, layout, rules.within);
  const toRating = ratingReader(table, layout, rules);
  return async function* () {
    for await (const rows of table.rows()) {
      const ratings: Rating[] = [];
      for (const row of rows) {
        const rating = toRating(row);
        if (rating !== undefined) ratings.push(rating);
      }
      yield ratings;
    }
  };
}

function ratingReader(table: Table, layout: LabelFile, rules: RatingRules): (row: TableRow) => Rating | undefined {
  const { file } = table;
  const place: Place = (row) => `${file}:${row}`;
  const at = columnFinder(table);
  const indices = columnIndices(layout, at);
  const { score, split, group, counts } = indices;
  const labelOf = labelReader(nameReader(table, layout, at, indices.name ?? 0), layout, rules, place);
  const valueOf = valueReader(layout, rules, indices, place, table.delimiter);
  const groupPattern = layout.group === undefined ? undefined : new RegExp(layout.group);
  const splitPattern = layout.split_name === undefined ? undefined : new RegExp(layout.split_name);
  const lower = layout.lower_is_better ?? rules.lowerIsBetter;
  const [lo, hi] = scaleOf(layout, rules);
  const mirror = layout.mirror ?? rules.mirror ?? (Number.isFinite(lo + hi) ? lo + hi : 0);
  return (row) => {
    if (layout.drop_rows?.includes(row.row)) return undefined;
    const label = labelOf(row);
    if (label === undefined) return undefined;
    const { value, deviation } = valueOf(row, label);
    const reference =
      group !== undefined ? stem(cellOf(row, group) ?? '') || undefined : groupPattern?.exec(label)?.[1];
    const mos = lower ? mirror - value : value;
    return {
      name: label,
      mos,
      digits:
        lower || counts !== undefined ? undefined : layout.digits === 'shortest' ? String(mos) : cellOf(row, score!)!,
      std: deviation === undefined ? undefined : deviation * (layout.std_factor ?? 1),
      split: splitOf(
        layout,
        split === undefined ? splitPattern?.exec(label)?.[1] : (cellOf(row, split) ?? ''),
        reference,
        place,
        row.row,
      ),
      group: reference,
      file,
      row: row.row,
    };
  };
}

/** Indices of the layout's columns in the table. The error names the first missing column. */
function columnIndices({ columns }: LabelFile, at: (column: Column) => number) {
  const indexOf = (column: Column | undefined): number | undefined => (column === undefined ? undefined : at(column));
  return {
    name: indexOf(columns.name),
    score: indexOf(columns.score),
    std: indexOf(columns.std),
    variance: indexOf(columns.variance),
    split: indexOf(columns.split),
    group: indexOf(columns.group),
    counts: columns.counts?.map(at),
  };
}

const scaleOf = (layout: LabelFile, rules: RatingRules): readonly [number, number] =>
  layout.scale ?? rules.scale ?? [-Infinity, Infinity];

/** Reads and checks the name in a row. Undefined for rows that the layout skips by name. */
function labelReader(
  nameOf: (row: TableRow) => string,
  layout: LabelFile,
  rules: RatingRules,
  place: Place,
): (row: TableRow) => string | undefined {
  const skip = layout.skip_names === undefined ? undefined : new RegExp(layout.skip_names);
  const fits = rules.names === undefined ? undefined : new RegExp(rules.names);
  return (row) => {
    const label = nameOf(row);
    if (label === '')
      throw new QalignError(
        'DATASET_VALUE',
        `${place(row.row)}: the name of the picture is empty; add it or remove the row.`,
      );
    if (skip?.test(label)) return undefined;
    if (fits?.test(label) === false)
      throw new QalignError(
        'DATASET_COLUMNS',
        `${place(row.row)}: "${label.slice(0, 80)}" does not match the names of this data set (${rules.names}); check the label file and its columns.`,
      );
    return label;
  };
}

/** Reads the score and the standard deviation of a row from their columns or from the counts of votes. */
function valueReader(
  layout: LabelFile,
  rules: RatingRules,
  { score, std, variance, counts }: ReturnType<typeof columnIndices>,
  place: Place,
  delimiter: string | undefined,
): (row: TableRow, label: string) => { value: number; deviation: number | undefined } {
  const numberAt = numberReader(delimiter, place);
  const votesOf = counts === undefined ? undefined : votesReader(counts, numberAt, place);
  const [lo, hi] = scaleOf(layout, rules);
  return (row, label) => {
    let value: number;
    let deviation: number | undefined;
    if (votesOf !== undefined) {
      [value, deviation] = momentsOf(votesOf(row), place, row.row);
      if (layout.counts_spread === false) deviation = undefined;
    } else {
      value = numberAt(row, score!, 'the score');
    }
    if (value < lo || value > hi)
      throw new QalignError(
        'DATASET_VALUE',
        `${place(row.row)}: the score ${value} of ${label} is outside the scale [${lo}, ${hi}]; correct the score or the scale.`,
      );
    if (std !== undefined) deviation = numberAt(row, std, 'the standard deviation');
    if (variance !== undefined) deviation = Math.sqrt(numberAt(row, variance, 'the variance'));
    if (deviation !== undefined && !(deviation >= 0))
      throw new QalignError(
        'DATASET_VALUE',
        `${place(row.row)}: the standard deviation is ${deviation}; it must be at least 0.`,
      );
    return { value, deviation };
  };
}

type NumberAt = (row: TableRow, column: number, what: string) => number;

function numberReader(delimiter: string | undefined, place: Place): NumberAt {
  return (row, column, what) => {
    const text = cellOf(row, column);
    const value = text === undefined || text === '' ? NaN : Number(text);
    // Number() accepts 0x10, which is not a number in a label file
    if (Number.isFinite(value) && !(text![0] === '0' && text![1]! > '9' && text![1] !== 'e' && text![1] !== 'E'))
      return value;
    if (text === undefined)
      throw new QalignError(
        'DATASET_COLUMNS',
        `${place(row.row)}: the row has ${row.cells.length} columns, but ${what} must be in column ${column + 1}${delimiterHint(row, delimiter)}.`,
      );
    throw new QalignError(
      'DATASET_VALUE',
      `${place(row.row)}: ${what} is ${text === '' ? 'empty' : `"${text.slice(0, 40)}"`}; it must be a number.`,
    );
  };
}

/**
 * Reads the number of votes for each grade.
 * @param counts one column per grade, or one column with a list
 */
function votesReader(counts: readonly number[], numberAt: NumberAt, place: Place): (row: TableRow) => number[] {
  if (counts.length === 1) return (row) => listAt(row, counts[0]!, place);
  const inARow = counts.every((column, i) => column === counts[0]! + i);
  return (row) =>
    (inARow ? row.integers?.(counts[0]!, counts.length) : undefined) ??
    counts.map((column) => numberAt(row, column, 'a count of votes'));
}

/** Finds the index of a column by name or number. The error for a missing column lists the columns of the file. */
function columnFinder(table: Table): (column: Column) => number {
  return (column) => {
    if (typeof column === 'number') return column;
    const index = table.header?.findIndex((name) => name.trim() === column) ?? -1;
    const again = table.header?.findLastIndex((name) => name.trim() === column) ?? -1;
    if (again > index)
      throw new QalignError(
        'DATASET_COLUMNS',
        `${table.file}:1: columns ${index + 1} and ${again + 1} are both named "${column}"; rename one of them.`,
      );
    if (index >= 0) return index;
    const header = table.header ?? [];
    const shown = header.slice(0, 12).join(', ').slice(0, 200);
    const wrong =
      header.length === 1 && table.delimiter !== undefined
        ? `; the expected separator is ${JSON.stringify(table.delimiter)}${seemingDelimiter(header[0]!)}`
        : '';
    throw new QalignError(
      'DATASET_COLUMNS',
      `${table.file}:1: there is no column "${column}"; the columns are ${shown}${header.length > 12 ? ` and ${header.length - 12} more` : ''}${wrong}.`,
    );
  };
}

/** Names the separator that the header seems to use instead. */
function seemingDelimiter(header: string): string {
  const seen = ['\t', ';', ','].find((delimiter) => header.includes(delimiter));
  return seen === undefined ? '' : `, but the file seems to use ${JSON.stringify(seen)}`;
}

function nameReader(
  table: Table,
  layout: LabelFile,
  at: (column: Column) => number,
  column: number,
): (row: TableRow) => string {
  const { add = '', template, words = {}, lower = false } = layout.name ?? {};
  const rewrites = (layout.name?.rewrite ?? []).map(([pattern, by]) => [new RegExp(pattern), by] as const);
  // workbooks store names such as 1600 as numbers
  const cell = (row: TableRow, index: number): string =>
    table.binary ? (row.cells[index] ?? '').replace(/^(\d+)\.0$/, '$1') : (cellOf(row, index) ?? '');
  const parts = template
    ?.split(/\{([^}]+)\}/)
    .map((part, i) => (i % 2 === 0 ? part : at(/^\d+$/.test(part) ? Number(part) : part)));
  return (row) => {
    let name =
      parts === undefined
        ? cell(row, column)
        : parts.map((part) => (typeof part === 'string' ? part : (words[cell(row, part)] ?? cell(row, part)))).join('');
    if (name.includes('\\')) name = name.replaceAll('\\', '/');
    for (const [pattern, by] of rewrites) name = name.replace(pattern, by);
    // also added to names that already end with it: LSVQ has clips named x.mp4.mp4
    if (name !== '') name += add;
    return lower ? name.toLowerCase() : name;
  };
}

function splitOf(
  layout: LabelFile,
  word: string | undefined,
  group: string | undefined,
  place: Place,
  row: number,
): string {
  if (layout.split_groups !== undefined && group !== undefined) {
    const found = Object.entries(layout.split_groups).find(([, [first, last]]) => first <= group && group <= last);
    if (found === undefined)
      throw new QalignError(
        'DATASET_VALUE',
        `${place(row)}: the reference ${group} is not in any split (${Object.keys(layout.split_groups).join(', ')}); check the label file.`,
      );
    return found[0];
  }
  if (word === undefined || word === '') return layout.split ?? 'all';
  if (layout.splits === undefined) return word;
  const split = layout.splits[word];
  if (split === undefined)
    throw new QalignError(
      'DATASET_VALUE',
      `${place(row)}: the split is "${word}"; it must be one of ${Object.keys(layout.splits).join(', ')}.`,
    );
  return split;
}

/** Mean and population standard deviation of votes, from the counts of the grades 1, 2, 3 and so on. */
function momentsOf(counts: readonly number[], place: Place, row: number): [mean: number, std: number] {
  let n = 0;
  let sum = 0;
  let squares = 0;
  for (let i = 0; i < counts.length; i++) {
    const votes = counts[i]!;
    if (!(votes >= 0))
      throw new QalignError(
        'DATASET_VALUE',
        `${place(row)}: the count of votes for ${i + 1} is ${votes}; it must be at least 0.`,
      );
    n += votes;
    sum += votes * (i + 1);
    squares += votes * (i + 1) * (i + 1);
  }
  if (n === 0)
    throw new QalignError('DATASET_VALUE', `${place(row)}: there are no votes; at least one count must be above 0.`);
  const mean = sum / n;
  return [mean, Math.sqrt(Math.max(0, squares / n - mean * mean))];
}

function listAt(row: TableRow, column: number, place: Place): number[] {
  const text = cellOf(row, column) ?? '';
  const numbers = text.startsWith('[') ? (JSON.parse(text) as unknown[]) : [];
  if (numbers.length === 0 || !numbers.every((value) => typeof value === 'number'))
    throw new QalignError(
      'DATASET_VALUE',
      `${place(row.row)}: "${text.slice(0, 40)}" is not a list of counts, such as [0, 3, 5].`,
    );
  return numbers;
}

function delimiterHint(row: TableRow, delimiter: string | undefined): string {
  return row.cells.length === 1 && delimiter !== undefined ? `(the separator is ${JSON.stringify(delimiter)})` : '';
}

function stem(path: string): string {
  return basename(path).replace(/\.[^.]+$/, '');
}
