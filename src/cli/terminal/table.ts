import type { Terminal } from './terminal.js';

/** Cells, the header first, as lines of aligned columns: the first to the left, numbers to the right. */
export function textTable(cells: readonly (readonly string[])[]): string[] {
  const widths = widthsOf(cells);
  return cells.map((row) =>
    row.map((text, index) => (index === 0 ? text.padEnd(widths[index]!) : text.padStart(widths[index]!))).join('  '),
  );
}

/** A last column narrower than this is not worth wrapping. */
const NARROWEST = 24;
const GAP = '  ';
const IS_NUMBER = /^[+−–-]?\d[\d.,/]*( \[.*\])?( (of \d+|%|[kMG]?B))?$|^[–-]$/;

/**
 * Cells, the header first, in lines of at most `columns` characters: numbers to the right, texts to the left,
 * and a long last column wrapped. Where that is too narrow, each row becomes a paragraph of `header: value` lines.
 */
export function fittedTable(cells: readonly (readonly string[])[], columns: number): string[] {
  const [head = [], ...rows] = cells;
  const widths = widthsOf(cells);
  const before = widths.slice(0, -1).reduce((sum, width) => sum + width + GAP.length, 0);
  const left = columns - before;
  if (left < Math.min(NARROWEST, widths.at(-1) ?? 0)) return rows.flatMap((row) => paragraph(head, row, columns));
  const isRight = head.map((_, index) => rows.length > 0 && rows.every((row) => IS_NUMBER.test(row[index] ?? '')));
  return cells.flatMap((row) => {
    const wrapped = wrap(row.at(-1) ?? '', left);
    return wrapped.map((text, number) => {
      const texts = row.map((cell, index) => (index === row.length - 1 ? text : number === 0 ? cell : ''));
      const padded = texts.map((cell, at) =>
        isRight[at] === true ? cell.padStart(widths[at]!) : cell.padEnd(widths[at]!),
      );
      return padded.join(GAP).trimEnd();
    });
  });
}

function paragraph(head: readonly string[], row: readonly string[], columns: number): string[] {
  const width = Math.max(0, ...head.slice(1).map((name) => name.length));
  const rest = row
    .slice(1)
    .flatMap((value, index) =>
      wrap(value, Math.max(10, columns - width - 4)).map((text, number) =>
        `  ${(number === 0 ? (head[index + 1] ?? '') : '').padEnd(width)}  ${text}`.trimEnd(),
      ),
    );
  return [row[0] ?? '', ...rest];
}

/** Words in lines of at most `width` characters; a longer word is cut. */
export function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (let word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line);
      line = '';
    }
    line = line === '' ? word : `${line} ${word}`;
    for (; line.length > width; line = word) {
      lines.push(line.slice(0, width));
      word = line.slice(width);
    }
  }
  return [...lines, line];
}

/** Lines for a terminal of its width; elsewhere cells with tabs between them, for programs. */
export function tableFor(
  { outIsTerminal, columns }: Pick<Terminal, 'outIsTerminal' | 'columns'>,
  cells: readonly (readonly string[])[],
): string {
  const lines = outIsTerminal ? fittedTable(cells, columns) : cells.map((row) => row.join('\t'));
  return lines.map((line) => `${line}\n`).join('');
}

const widthsOf = (cells: readonly (readonly string[])[]): number[] =>
  (cells[0] ?? []).map((_, index) => Math.max(...cells.map((row) => (row[index] ?? '').length)));

/** Lines with a name of `width` characters before the first, and blanks before the others. */
export function labelled(name: string, width: number, lines: readonly string[]): string[] {
  return lines.map((line, index) => `${(index === 0 ? name : '').padEnd(width)} ${line}`);
}
