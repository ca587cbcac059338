import type { TableRow } from './table.js';

const ZERO = 48;

/**
 * A line of a text table without quotes. Cells are parsed only when they are read. An AVA row has fifteen cells, and
 * splitting all of them took a third of the time of a conversion.
 */
export class TextRow implements TableRow {
  readonly line: string;
  readonly delimiter: string;
  readonly row: number;
  private split: string[] | undefined;

  constructor(line: string, delimiter: string, row: number) {
    this.line = line;
    this.delimiter = delimiter;
    this.row = row;
    this.split = undefined;
  }

  get cells(): readonly string[] {
    return (this.split ??= splitCells(this.line, this.delimiter));
  }

  cell(index: number): string | undefined {
    if (this.split !== undefined || !isPlain(this.line, this.delimiter)) return this.cells[index];
    const start = startOf(this.line, this.delimiter, index);
    if (start < 0) return undefined;
    const end = this.line.indexOf(this.delimiter, start);
    return this.line.slice(start, end < 0 ? undefined : end).trim();
  }

  /** Reads `count` whole numbers of up to nine digits, starting at a column. Undefined if one has another form. */
  integers(index: number, count: number): number[] | undefined {
    const { line, delimiter } = this;
    if (!isPlain(line, delimiter)) return undefined;
    const parts = delimiter.charCodeAt(0);
    const numbers: number[] = [];
    let at = startOf(line, delimiter, index);
    if (at < 0) return undefined;
    while (numbers.length < count) {
      const start = at;
      let value = 0;
      for (let code = line.charCodeAt(at); code !== parts && at < line.length; code = line.charCodeAt(++at)) {
        if (code < ZERO || code > ZERO + 9) return undefined;
        value = 10 * value + code - ZERO;
      }
      if (at === start || at > start + 9) return undefined;
      numbers.push(value);
      at++;
    }
    return numbers;
  }
}

/** Whether each separator is one character. Lines with runs of spaces are split as a whole. */
function isPlain(line: string, delimiter: string): boolean {
  return delimiter !== ' ' || !(line.includes('  ') || line.includes('\t') || line.startsWith(' '));
}

function startOf(line: string, delimiter: string, index: number): number {
  let at = 0;
  for (let column = 0; column < index; column++) {
    at = line.indexOf(delimiter, at) + 1;
    if (at === 0) return -1;
  }
  return at;
}

function splitCells(line: string, delimiter: string): string[] {
  if (delimiter === ' ') return line.trim().split(/\s+/);
  const cells = line.split(delimiter);
  for (let i = 0; i < cells.length; i++) cells[i] = cells[i]!.trim();
  return cells;
}
