import { QalignError } from '../../../base/errors.js';
import { MAP_COLUMNS } from '../map/columns.js';
import { csvHeader } from '../result-csv.js';
import { compactLayout } from './compact.js';
import { FIELD_NAMES, lackingForResume, type ResumeNeeds } from './fields.js';
import { fullLayout, type ResultLayout } from './layout.js';

export type Fields = Readonly<Record<string, unknown>>;

/** Whether a JSON row has the fields of a layout. */
export function isOfLayout(row: Fields, { kind, names }: ResultLayout): boolean {
  if (kind === 'fields') return Object.keys(row).join() === names.join();
  return kind === layoutOf(row);
}

function layoutOf(row: Fields): 'full' | 'compact' | undefined {
  const has = (name: string): boolean => Object.hasOwn(row, name);
  if (!has('input')) return undefined;
  if (has('schema_version')) return has('error') || (has('model') && has('preprocessing')) ? 'full' : undefined;
  return has('v') || (has('error') && row['error'] !== null) ? 'compact' : undefined;
}

/** The flags of a run that writes a layout. */
const HOW = {
  full: 'without --fields and --compact',
  compact: 'with --compact',
  'full table': 'without --fields and --compact, and without --per-frame',
  'compact table': 'with --compact, and without --per-frame',
  'full table with curves': 'with --per-frame, and without --fields and --compact',
  'compact table with curves': 'with --compact and --per-frame',
} as const;

/** Layouts of tables by their header. A row of JSON has the same form with and without curves. */
const HEADERS = (): ReadonlyMap<string, keyof typeof HOW> =>
  new Map([
    [csvHeader(fullLayout()), 'full table'],
    [csvHeader(compactLayout({})), 'compact table'],
    [csvHeader(fullLayout(true)), 'full table with curves'],
    [csvHeader(compactLayout({}, true)), 'compact table with curves'],
  ]);

/**
 * The error for a results file that was written with another layout; undefined if `found` is not a row of qalign.
 *
 * @param found a JSON row, or the header of a CSV file
 */
export function otherLayout(
  path: string,
  found: Fields | readonly string[] | undefined,
  needs: ResumeNeeds | undefined,
): QalignError | undefined {
  if (found === undefined || found.length === 0) return undefined;
  const isHeader = Array.isArray(found);
  const names = isHeader ? (found as readonly string[]) : Object.keys(found);
  const header = names.join();
  const mapColumns = `,${MAP_COLUMNS.map(({ name }) => name).join()}`;
  const isMapped = header.endsWith(mapColumns);
  const plain = isMapped ? header.slice(0, -mapColumns.length) : header;
  const kind = isHeader ? HEADERS().get(plain) : layoutOf(found as Fields);
  const isOlder = !isHeader && ['model', 'preprocessing', 'logits'].every((name) => names.includes(name));
  if (kind === undefined && (isOlder || !names.every((name) => FIELD_NAMES.includes(name)))) return undefined;
  const lacking = kind === undefined && needs !== undefined ? lackingForResume(names, needs) : [];
  if (lacking.length > 0)
    return new QalignError(
      'RESUME_MISMATCH',
      `The rows of ${path} lack ${lacking.join(', ')}, which --resume needs; use another --out with --fields ${[...names, ...lacking].join()}.`,
    );
  const maps = isMapped ? ', and with --map' : isHeader && needs?.map === true ? ', and without --map' : '';
  const how = kind === undefined ? `with --fields ${header}` : `${HOW[kind]}${maps}`;
  return new QalignError(
    'RESUME_MISMATCH',
    `${path} was written ${how}, and this run writes other columns; use the same flags to continue it, or use another --out.`,
  );
}
