/** Cells, the header first, as lines of aligned columns: the first to the left, numbers to the right. */
export function textTable(cells: readonly (readonly string[])[]): string[] {
  const widths = (cells[0] ?? []).map((_, index) => Math.max(...cells.map((row) => row[index]!.length)));
  return cells.map((row) =>
    row.map((text, index) => (index === 0 ? text.padEnd(widths[index]!) : text.padStart(widths[index]!))).join('  '),
  );
}

/** Lines with a name of `width` characters before the first, and blanks before the others. */
export function labelled(name: string, width: number, lines: readonly string[]): string[] {
  return lines.map((line, index) => `${(index === 0 ? name : '').padEnd(width)} ${line}`);
}
