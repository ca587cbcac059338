import { createReadStream } from 'node:fs';
import { parse } from 'csv-parse/sync';
import { SCHEMA_VERSION } from '../../api/result.js';
import { QalignError } from '../../base/errors.js';
import { wholeLines, type Line } from '../../base/files/lines.js';
import type { MediaIdentity } from '../../media/media-input.js';
import { expandRow, type CompactMeta } from './layout/compact.js';
import type { ResumeNeeds } from './layout/fields.js';
import { FULL_LAYOUT, type ResultLayout } from './layout/layout.js';
import { isOfLayout, otherLayout, type Fields } from './layout/recognise.js';
import { foreignSidecar, readSidecar } from './layout/sidecar.js';
import { hasMap } from './map/columns.js';
import { csvHeader } from './result-csv.js';
import { rowVersion } from './row-version.js';

/** The fields of a written row that resuming needs. */
export interface WrittenLine {
  /** Key of input and task; see `keyOf`. */
  readonly key: string;
  /** Undefined if the row does not name its model. */
  readonly model: string | undefined;
  readonly identity: Partial<MediaIdentity>;
  /** Includes the calibration, if the row has one; see `rowVersion`. */
  readonly scoreVersion: string | undefined;
  readonly failed: boolean;
  readonly warned: boolean;
  /** The row has a map, or is of a clip. */
  readonly mapped: boolean;
  /** Frames of each question of the frame curve; undefined for a row without curve. */
  readonly curveWindow: number | undefined;
  /** NaN for a failure. */
  readonly score: number;
  /** The row by the field names of its layout; a compact row includes the shared fields of its sidecar. */
  readonly fields: Fields;
}

/**
 * A whole line of the file. `start` and `end` are offsets in bytes and include the line end. `line` is undefined for
 * the CSV header.
 */
export interface ScannedLine {
  readonly start: number;
  readonly end: number;
  readonly text: string;
  readonly line: WrittenLine | undefined;
}

/** Key of an input and a task. A name that is not UTF-8 is compared by its bytes. */
export function keyOf(task: string, input: string, inputBase64: string | undefined): string {
  return `${task}\n${inputBase64 === undefined ? input : nameOf(Buffer.from(inputBase64, 'base64'))}`;
}

function nameOf(bytes: Buffer): string {
  const text = bytes.toString('utf8');
  return Buffer.from(text).equals(bytes) ? text : `\0${bytes.toString('latin1')}`;
}

/** Format and layout of the rows of a file. */
export interface ScanOptions {
  readonly format: 'jsonl' | 'csv';
  readonly layout?: ResultLayout | undefined;
  /** Fields that this run needs, for the error about a file with other fields. */
  readonly needs?: ResumeNeeds | undefined;
}

/**
 * Reads a results file line by line. An incomplete last line of a killed writer is skipped. A line that is not a
 * result, or has another layout, throws RESUME_MISMATCH, because qalign possibly did not write the file. Rows of a
 * compact file are completed with its sidecar.
 */
export async function* scanResults(
  path: string,
  { format, layout = FULL_LAYOUT, needs }: ScanOptions,
): AsyncGenerator<ScannedLine, void, undefined> {
  let number = 0;
  let meta: CompactMeta | undefined;
  const foreign = (at: number): QalignError =>
    new QalignError(
      'RESUME_MISMATCH',
      `Line ${at} of ${path} is not a result of this version of qalign; use another --out or delete the file.`,
    );
  const lines = wholeLines(createReadStream(path), { tooLong: () => foreign(number + 1) });
  const header = csvHeader(layout);
  for await (const { start, end, text } of format === 'csv' ? joinQuoted(lines) : lines) {
    number += 1;
    const isHeader = format === 'csv' && number === 1;
    if (isHeader && text === header) {
      yield { start, end, text, line: undefined };
      continue;
    }
    const row = format === 'csv' ? (isHeader ? undefined : csvRow(text, layout)) : jsonRow(text);
    if (row === undefined || (format === 'jsonl' && !isOfLayout(row, layout)))
      throw otherLayout(path, format === 'csv' ? (isHeader ? text.split(',') : []) : row, needs) ?? foreign(number);
    if (layout.kind === 'compact') meta ??= await readSidecar(path);
    const fields = meta === undefined ? row : expandRow(row, meta);
    if (fields === undefined) throw foreignSidecar(path, row['v'], meta!);
    const line = toLine(fields, layout);
    if (line === undefined) throw foreign(number);
    yield { start, end, text, line };
  }
}

/** Joins the lines of a quoted cell that contains line ends. */
export async function* joinQuoted(lines: AsyncIterable<Line>): AsyncGenerator<Omit<Line, 'number'>, void, undefined> {
  let open: { start: number; texts: string[] } | undefined;
  for await (const { start, end, text } of lines) {
    const odd = text.split('"').length % 2 === 0;
    if (open === undefined && !odd) yield { start, end, text };
    else if (open === undefined) open = { start, texts: [text] };
    else {
      open.texts.push(text);
      if (!odd) continue;
      yield { start: open.start, end, text: open.texts.join('\n') };
      open = undefined;
    }
  }
}

/** Undefined if the text is not a JSON object. */
function jsonRow(text: string): Fields | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Fields) : undefined;
  } catch {
    return undefined;
  }
}

/** Non-empty cells by column; undefined if the number of cells differs. */
function csvRow(text: string, { columns }: ResultLayout): Fields | undefined {
  try {
    const [cells]: string[][] = parse(text);
    if (cells?.length !== columns.length) return undefined;
    const filled = columns.map(({ name }, at) => [name, cells[at]] as const).filter(([, cell]) => cell !== '');
    return { input: '', ...Object.fromEntries(filled) };
  } catch {
    return undefined;
  }
}

/** Error fields of all layouts. A row with one of them has no score. */
const ERRORS = ['error', 'error.code', 'error.message', 'error_code'];

function toLine(fields: Fields, { kind, columns }: ResultLayout): WrittenLine | undefined {
  const get = (name: string): unknown => fields[name] ?? undefined; // null means that the field is absent
  const [input, task, version, base64] = ['input', 'task', 'score_version', 'input_base64'].map(get);
  const calibration = get('calibration') as string | undefined;
  if (typeof input !== 'string' || typeof task !== 'string') return undefined;
  if (kind !== 'fields' && Number(fields['schema_version']) !== SCHEMA_VERSION) return undefined;
  const named = ERRORS.some((name) => get(name) !== undefined);
  // without the exact bytes of its name the input cannot be identified, so it is scored again
  const isVague = kind === 'fields' && input.includes('\ufffd') && !columns.some(({ name }) => name === 'input_base64');
  const failed = named || isVague || (kind === 'fields' && version === undefined);
  if (!failed && typeof version !== 'string') return undefined;
  const [bytes, modified, sha256, warnings] = ['file_size', 'modified', 'sha256', 'warnings'].map(get);
  return {
    key: keyOf(task, input, base64 as string | undefined),
    model: modelOf(fields),
    identity: {
      ...(bytes === undefined ? {} : { bytes: Number(bytes) }),
      ...(modified === undefined ? {} : { modified: modified as string }),
      ...(sha256 === undefined ? {} : { sha256: sha256 as string }),
    },
    scoreVersion: failed ? undefined : rowVersion(version as string, calibration),
    failed,
    curveWindow: failed ? undefined : curveWindowOf(fields),
    warned: Array.isArray(warnings) ? warnings.length > 0 : warnings !== undefined,
    mapped: hasMap(fields),
    score: failed ? NaN : Number(fields['score']),
    fields,
  };
}

/** In JSON the curve is an object; in tables and with `--fields` the window is a separate value. */
function curveWindowOf(fields: Fields): number | undefined {
  const curve = fields['frame_curve'] as { readonly window?: number } | null | undefined;
  const window = curve?.window ?? fields['frame_curve.window'] ?? fields['frames_window'] ?? undefined;
  return window === undefined ? undefined : Number(window);
}

function modelOf(fields: Fields): string | undefined {
  const { model } = fields;
  const id = typeof model === 'object' && model !== null ? (model as { id?: unknown }).id : model;
  return (fields['model.id'] ?? id ?? fields['failed_model'] ?? undefined) as string | undefined;
}
