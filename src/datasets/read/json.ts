import { basename, extname } from 'node:path';
import { QalignError } from '../../base/errors.js';
import type { Reach } from '../../base/files/reach.js';
import { pythonDigits } from '../rating.js';
import { decodeText, readLabels, readLines } from './text.js';
import { isBlank, tableOf, type ReadTable, type TableRow } from './table.js';

/**
 * Reads a list of objects, or JSON Lines. Columns are the keys in order of first appearance. Lists become JSON text. An
 * `id` of the form `name->score`, as published by Q-Align, adds the columns `id.name` and `id.score`.
 */
export const readJsonTable: ReadTable = async (path, _layout, within) => {
  const file = basename(path);
  const items =
    extname(path).toLowerCase() === '.jsonl' ? await jsonLines(path, file, within) : await jsonList(path, file, within);
  const columns = new Map<string, number>();
  const rows = items.map(({ value, row }): TableRow => {
    if (typeof value !== 'object' || value === null || Array.isArray(value))
      throw new QalignError(
        'DATASET_UNREADABLE',
        `${file}:${row}: expected an object, not ${show(value)}; write one object per picture.`,
      );
    const cells: string[] = [];
    for (const [key, field] of [...Object.entries(value), ...idParts(value)]) {
      if (!columns.has(key)) columns.set(key, columns.size);
      cells[columns.get(key)!] = cellOf(field);
    }
    return { cells: Array.from(cells, (cell) => cell ?? ''), row };
  });
  return tableOf(
    file,
    [...columns.keys()],
    rows.filter((row) => !isBlank(row)),
    true,
  );
};

function idParts(value: object): [string, unknown][] {
  const id: unknown = (value as Record<string, unknown>)['id'];
  const match = typeof id === 'string' ? /^(.+)->([^>]+)$/.exec(id) : null;
  return match === null
    ? []
    : [
        ['id.name', match[1]],
        ['id.score', match[2]],
      ];
}

function cellOf(field: unknown): string {
  if (typeof field === 'string') return field;
  if (typeof field === 'number') return pythonDigits(field);
  return field === null || field === undefined ? '' : JSON.stringify(field);
}

interface JsonItem {
  readonly value: unknown;
  readonly row: number;
}

async function jsonList(path: string, file: string, within: Reach | undefined): Promise<JsonItem[]> {
  const value = parseJson(decodeText(await readLabels(path, within), file), file);
  if (!Array.isArray(value))
    throw new QalignError(
      'DATASET_UNREADABLE',
      `${file}: expected a list of objects, not ${show(value)}; write one object per picture.`,
    );
  return value.map((item: unknown, index) => ({ value: item, row: index + 1 }));
}

async function jsonLines(path: string, file: string, within: Reach | undefined): Promise<JsonItem[]> {
  const items: JsonItem[] = [];
  for await (const { lines, first } of readLines(path, within)) {
    lines.forEach((line, index) => {
      if (line.trim() !== '') items.push({ value: parseJson(line, `${file}:${first + index}`), row: first + index });
    });
  }
  return items;
}

function parseJson(text: string, place: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new QalignError('DATASET_UNREADABLE', `${place}: the text is not valid JSON: ${(cause as Error).message}.`, {
      cause,
    });
  }
}

function show(value: unknown): string {
  return (JSON.stringify(value) ?? 'nothing').slice(0, 60);
}
