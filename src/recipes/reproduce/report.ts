import { join } from 'node:path';
import { writeWhole } from '../../base/files/whole-file.js';
import type { Missing } from '../evaluate/ready.js';
import { provenance } from '../../base/provenance.js';
import type { ReproducedTable, ReproduceOptions } from './table.js';
import { escape } from '../../report/escape.js';
import { heading, page, table as htmlTable } from '../../report/page.js';
import { decimal, markdownTable } from '../../report/text.js';

/**
 * The cells of the table as texts, with the header first. Columns are in the order of the keys of the rows.
 * Correlations have three digits.
 */
export function cellsOf({ rows }: Pick<ReproducedTable, 'rows'>): string[][] {
  const columns = [...new Set(rows.flatMap((row) => Object.keys(row)))];
  const cell = (column: string, value: string | number | null | undefined): string => {
    if (typeof value !== 'number') return value ?? '–';
    return /srcc|plcc|krcc/.test(column) || !Number.isInteger(value) ? decimal(value, 3) : String(value);
  };
  return [columns, ...rows.map((row) => columns.map((column) => cell(column, row[column])))];
}

export function tableMarkdown(table: ReproducedTable): string {
  const [head = [], ...rows] = cellsOf(table);
  return `# ${table.title}\n\n${markdownTable(head, rows)}\n\n${table.notes.map((note) => `- ${note}`).join('\n')}\n`;
}

/** Writes `<name>.md`, `<name>.json` and `report.html`. A failed write leaves no partial file. */
export async function writeReproduced(
  folder: string,
  name: string,
  table: ReproducedTable,
  missing: readonly Missing[],
  { command, media, data }: Pick<ReproduceOptions, 'command' | 'media' | 'data'> = {},
): Promise<void> {
  const { title, rows, notes, sections = [] } = table;
  const made = await provenance();
  const lacks = missing.map(({ what, how }) => `${what}; to get it: ${how}`);
  const lacking =
    lacks.length === 0 ? '' : `\n## Not on this machine\n\n${lacks.map((text) => `- ${text}`).join('\n')}\n`;
  await writeWhole(join(folder, `${name}.md`), tableMarkdown(table) + lacking);
  await writeWhole(
    join(folder, `${name}.json`),
    `${JSON.stringify({ title, rows, notes, missing, provenance: made }, null, 1)}\n`,
  );
  const [head = [], ...cells] = cellsOf(table);
  const list = (texts: readonly string[]): string =>
    `<ul>${texts.map((text) => `<li>${escape(text)}</li>`).join('')}</ul>`;
  const body = [
    htmlTable(head, cells),
    list(notes),
    ...sections,
    ...(lacks.length === 0 ? [] : [heading(2, 'Not on this machine'), list(lacks)]),
  ];
  const html = page({
    title,
    body: body.join('\n'),
    origin: { ...made, command, links: [`${name}.json`, `${name}.md`] },
    roots: [folder, media, data].filter((root) => root !== undefined),
  });
  await writeWhole(join(folder, 'report.html'), html);
}
