import { basename } from 'node:path';
import { QalignError } from '../base/errors.js';
import type { Reach } from '../base/files/reach.js';
import type { Rating, RatingScan } from './rating.js';
import type { LabelFile } from './spec.js';
import { readLabelFile } from './read/label-file.js';
import { cellOf, type Table, type TableRow } from './read/table.js';

type Column = string | number;
/** A row as messages name it: `file:row`. Made only when it is said. */
type Place = (row: number) => string;
/** The parts of a layout that the data set says once for all its files. */
export interface RatingRules {
  readonly scale: readonly [number, number] | undefined;
  readonly lowerIsBetter: boolean;
  /** mos = mirror − score where lower is better. */
  readonly mirror?: number | undefined;
  /** What a name looks like. */
  readonly names?: string | undefined;
  /** Where the opened files must lie; anywhere by default. */
  readonly within?: Reach | undefined;
}

/**
 * The ratings of one label file.
 * @throws QalignError of the dataset family, with file and row, for missing columns, values that are no ratings or out
 * of range
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

/** Where the columns of the layout are in the table; the first that is not there is the one that an error names. */
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

/** The name in a row, checked; undefined for rows that the layout skips by their name. */
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
    if (label === '') throw new QalignError('DATASET_VALUE', `${place(row.row)}: the name of the picture is empty.`);
    if (skip?.test(label)) return undefined;
    if (fits?.test(label) === false)
      throw new QalignError(
        'DATASET_COLUMNS',
        `${place(row.row)}: "${label.slice(0, 80)}" is no name of this data set (${rules.names}); is it the file of another one, or are its columns others?`,
      );
    return label;
  };
}

/** Score and deviation of a row as the file has them, from a column each or from the counts of votes. */
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
        `${place(row.row)}: the score ${value} of ${label} is outside [${lo}, ${hi}].`,
      );
    if (std !== undefined) deviation = numberAt(row, std, 'the standard deviation');
    if (variance !== undefined) deviation = Math.sqrt(numberAt(row, variance, 'the variance'));
    if (deviation !== undefined && !(deviation >= 0))
      throw new QalignError('DATASET_VALUE', `${place(row.row)}: a spread of ${deviation} is below 0.`);
    return { value, deviation };
  };
}

type NumberAt = (row: TableRow, column: number, what: string) => number;

function numberReader(delimiter: string | undefined, place: Place): NumberAt {
  return (row, column, what) => {
    const text = cellOf(row, column);
    const value = text === undefined || text === '' ? NaN : Number(text);
    // 0x10 is a number to JavaScript and none to the author of a table
    if (Number.isFinite(value) && !(text![0] === '0' && text![1]! > '9' && text![1] !== 'e' && text![1] !== 'E'))
      return value;
    if (text === undefined)
      throw new QalignError(
        'DATASET_COLUMNS',
        `${place(row.row)}: the row has ${row.cells.length} columns; ${what} was expected in column ${column + 1}${delimiterHint(row, delimiter)}.`,
      );
    throw new QalignError(
      'DATASET_VALUE',
      `${place(row.row)}: ${what} is ${text === '' ? 'empty' : `"${text.slice(0, 40)}"`}; a number was expected.`,
    );
  };
}

/** How many voted for each grade. @param counts a column a grade, or one column with a list */
function votesReader(counts: readonly number[], numberAt: NumberAt, place: Place): (row: TableRow) => number[] {
  if (counts.length === 1) return (row) => listAt(row, counts[0]!, place);
  const inARow = counts.every((column, i) => column === counts[0]! + i);
  return (row) =>
    (inARow ? row.integers?.(counts[0]!, counts.length) : undefined) ??
    counts.map((column) => numberAt(row, column, 'a count of votes'));
}

/** Column name or number → index. Says what the file has where it is not there. */
function columnFinder(table: Table): (column: Column) => number {
  return (column) => {
    if (typeof column === 'number') return column;
    const index = table.header?.findIndex((name) => name.trim() === column) ?? -1;
    const again = table.header?.findLastIndex((name) => name.trim() === column) ?? -1;
    if (again > index)
      throw new QalignError(
        'DATASET_COLUMNS',
        `${table.file}:1: the columns ${index + 1} and ${again + 1} are both called "${column}"; rename the one that is not meant.`,
      );
    if (index >= 0) return index;
    const header = table.header ?? [];
    const shown = header.slice(0, 12).join(', ').slice(0, 200);
    const wrong =
      header.length === 1 && table.delimiter !== undefined
        ? `; its separator was expected to be ${JSON.stringify(table.delimiter)}${seemingDelimiter(header[0]!)}`
        : '';
    throw new QalignError(
      'DATASET_COLUMNS',
      `${table.file}:1: there is no column "${column}"; the columns are ${shown}${header.length > 12 ? ` and ${header.length - 12} more` : ''}${wrong}.`,
    );
  };
}

/** A separator that the header has instead. */
function seemingDelimiter(header: string): string {
  const seen = ['\t', ';', ','].find((delimiter) => header.includes(delimiter));
  return seen === undefined ? '' : ` and seems to be ${JSON.stringify(seen)}`;
}

function nameReader(
  table: Table,
  layout: LabelFile,
  at: (column: Column) => number,
  column: number,
): (row: TableRow) => string {
  const { add = '', template, words = {}, lower = false } = layout.name ?? {};
  const rewrites = (layout.name?.rewrite ?? []).map(([pattern, by]) => [new RegExp(pattern), by] as const);
  // workbooks store a name such as 1600 as a number
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
    // of every name, also one that seems to have it: LSVQ has clips called x.mp4.mp4
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
        `${place(row)}: the reference ${group} belongs to no split; ${Object.keys(layout.split_groups).join(', ')} were expected.`,
      );
    return found[0];
  }
  if (word === undefined || word === '') return layout.split ?? 'all';
  if (layout.splits === undefined) return word;
  const split = layout.splits[word];
  if (split === undefined)
    throw new QalignError(
      'DATASET_VALUE',
      `${place(row)}: the split "${word}" is none of ${Object.keys(layout.splits).join(', ')}.`,
    );
  return split;
}

/** Mean and standard deviation (of the population of votes) of counts of the votes 1, 2, 3 … */
function momentsOf(counts: readonly number[], place: Place, row: number): [mean: number, std: number] {
  let n = 0;
  let sum = 0;
  let squares = 0;
  for (let i = 0; i < counts.length; i++) {
    const votes = counts[i]!;
    if (!(votes >= 0))
      throw new QalignError(
        'DATASET_VALUE',
        `${place(row)}: ${votes} votes for ${i + 1}; a count of at least 0 was expected.`,
      );
    n += votes;
    sum += votes * (i + 1);
    squares += votes * (i + 1) * (i + 1);
  }
  if (n === 0)
    throw new QalignError('DATASET_VALUE', `${place(row)}: nobody voted; at least one count above 0 was expected.`);
  const mean = sum / n;
  return [mean, Math.sqrt(Math.max(0, squares / n - mean * mean))];
}

function listAt(row: TableRow, column: number, place: Place): number[] {
  const text = cellOf(row, column) ?? '';
  const numbers = text.startsWith('[') ? (JSON.parse(text) as unknown[]) : [];
  if (numbers.length === 0 || !numbers.every((value) => typeof value === 'number'))
    throw new QalignError('DATASET_VALUE', `${place(row.row)}: "${text.slice(0, 40)}" is no list of counts.`);
  return numbers;
}

function delimiterHint(row: TableRow, delimiter: string | undefined): string {
  return row.cells.length === 1 && delimiter !== undefined ? `, separated by ${JSON.stringify(delimiter)}` : '';
}

function stem(path: string): string {
  return basename(path).replace(/\.[^.]+$/, '');
}
