/** A statistic with `digits` decimals, or – if it does not exist. Negative values have a minus sign, not a hyphen. */
export function decimal(value: number | null | undefined, digits = 4): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return '–';
  const text = value.toFixed(digits);
  return Number(text) === 0 ? text.replace('-', '') : text.replace('-', '−');
}

/** A difference, with its sign. */
export function signed(value: number | null | undefined, digits = 4): string {
  const text = decimal(value, digits);
  return text === '–' || text.startsWith('−') || Number(text) === 0 ? text : `+${text}`;
}

/** 0.9123 [0.9011, 0.9220] */
export function withInterval(value: number | null, interval: readonly [number, number] | null, digits = 4): string {
  return interval === null
    ? decimal(value, digits)
    : `${decimal(value, digits)} [${decimal(interval[0], digits)}, ${decimal(interval[1], digits)}]`;
}

/** A table in GitHub's Markdown; each cell is on one line. */
export function markdownTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell) => cell.replaceAll('|', '\\|').replaceAll(/\s+/g, ' ')).join(' | ')} |`;
  return [line(head), `|${head.map(() => '---').join('|')}|`, ...rows.map(line)].join('\n');
}
