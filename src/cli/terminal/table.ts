import { plain, type Paint } from './colour.js';
import { foldLine, wrap } from './fold.js';
import type { Terminal } from './terminal.js';
import { padEnd, padStart, widthOf } from './width.js';

type Cells = readonly (readonly string[])[];
type Screen = Pick<Terminal, 'outIsTerminal' | 'columns' | 'paint'>;

/** Minimum width of a last column that is wrapped, in cells. */
const NARROWEST = 24;
/** Maximum width of the names in a paragraph, in cells. */
const WIDEST_NAME = 20;
const GAP = '  ';
const IS_NUMBER = /^[+−–-]?\d[\d.,/]*-?( \[.*\])?( (of \d+|%|[kMG]?B|± [\d.]+))?$|^[–-]$/;

/**
 * Formats a table in lines of at most `columns` cells. The first row is the header. Numbers are aligned right, texts
 * left, and a long last column is wrapped. If the width is too small, each row becomes a paragraph of `header  value`
 * lines.
 */
export function fittedTable(cells: Cells, columns: number, paint: Paint = plain): string[] {
  const [head = [], ...rows] = cells;
  const widths = widthsOf(cells);
  const before = widths.slice(0, -1).reduce((sum, width) => sum + width + GAP.length, 0);
  const left = columns - before;
  if (left < Math.min(NARROWEST, widths.at(-1) ?? 0))
    return rows.flatMap((row) => paragraph(head, row, columns, paint));
  const isRight = head.map((_, index) => rows.length > 0 && rows.every((row) => IS_NUMBER.test(row[index] ?? '')));
  return cells.flatMap((row, rowNumber) => {
    const wrapped = wrap(row.at(-1) ?? '', left);
    return wrapped.map((text, number) => {
      const texts = row.map((cell, index) => (index === row.length - 1 ? text : number === 0 ? cell : ''));
      const padded = texts.map((cell, at) => (isRight[at] === true ? padStart : padEnd)(cell, widths[at]!));
      const line = padded.join(GAP).trimEnd();
      return rowNumber === 0 ? paint('bold', line) : line;
    });
  });
}

function paragraph(head: readonly string[], row: readonly string[], columns: number, paint: Paint): string[] {
  const width = Math.min(WIDEST_NAME, Math.max(0, ...head.slice(1).map(widthOf)));
  const rest = row.slice(1).flatMap((value, index) =>
    wrap(value, Math.max(10, columns - width - 4)).map((text, number) => {
      const name = padEnd(number === 0 ? (head[index + 1] ?? '') : '', width);
      return `  ${number === 0 ? paint('dim', name) : name}  ${text}`.trimEnd();
    }),
  );
  return [...wrap(row[0] ?? '', columns).map((line) => paint('bold', line)), ...rest];
}

/** On a terminal a table that fits its width, otherwise tab-separated cells for programs. */
export function tableFor({ outIsTerminal, columns, paint }: Screen, cells: Cells): string {
  const lines = outIsTerminal ? fittedTable(cells, columns, paint) : cells.map((row) => row.join('\t'));
  return lines.map((line) => `${line}\n`).join('');
}

const widthsOf = (cells: Cells): number[] =>
  (cells[0] ?? []).map((_, index) => Math.max(...cells.map((row) => widthOf(row[index] ?? ''))));

/** If fewer cells are left beside a name, its text is on the lines below. */
const LEAST_BESIDE = 24;

/**
 * Wraps text to `columns` cells, with a name of `width` cells before the first line and blanks before the others.
 * Command lines (`  qalign …`) are wrapped with a backslash, so that they can be copied.
 */
export function labelled(name: string, width: number, lines: readonly string[], columns = Infinity): string[] {
  const beside = columns - width - 1;
  if (beside >= LEAST_BESIDE)
    return lines
      .flatMap((line) => foldLine(line, beside))
      .map((line, index) => `${padEnd(index === 0 ? name : '', width)} ${line}`);
  return [...wrap(name, columns), ...lines.flatMap((line) => foldLine(line, columns - 2).map((text) => `  ${text}`))];
}
