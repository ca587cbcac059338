import { createReadStream } from 'node:fs';
import { parse } from 'csv-parse/sync';
import { SCHEMA_VERSION } from '../../api/result.js';
import { QalignError } from '../../base/errors.js';
import { wholeLines, type Line } from '../../base/files/lines.js';
import type { MediaIdentity } from '../../media/media-input.js';
import { CSV_COLUMNS, CSV_HEADER } from './result-csv.js';

/** What resuming needs to know of a line that was written. */
export interface WrittenLine {
  /** Of input and task; see `keyOf`. */
  readonly key: string;
  readonly identity: Partial<MediaIdentity>;
  readonly scoreVersion: string | undefined;
  readonly failed: boolean;
  readonly warned: boolean;
  /** NaN for a failure. */
  readonly score: number;
}

/**
 * A whole line of the file: where it starts and ends in bytes (its line end included), and what it says (nothing for
 * the CSV header).
 */
export interface ScannedLine {
  readonly start: number;
  readonly end: number;
  readonly text: string;
  readonly line: WrittenLine | undefined;
}

/** One name for an input and a task. A name that is not UTF-8 counts by its exact bytes. */
export function keyOf(task: string, input: string, inputBase64: string | undefined): string {
  return `${task}\n${inputBase64 === undefined ? input : nameOf(Buffer.from(inputBase64, 'base64'))}`;
}

function nameOf(bytes: Buffer): string {
  const text = bytes.toString('utf8');
  return Buffer.from(text).equals(bytes) ? text : `\0${bytes.toString('latin1')}`;
}

/**
 * Reads a results file line by line. A torn last line (no line end: the writer died in it) is not given; a line that is
 * no result ends in RESUME_MISMATCH, because then the file is not ours to continue.
 */
export async function* scanResults(
  path: string,
  format: 'jsonl' | 'csv',
): AsyncGenerator<ScannedLine, void, undefined> {
  let number = 0;
  const foreign = (at: number): QalignError =>
    new QalignError(
      'RESUME_MISMATCH',
      `Line ${at} of ${path} is not a result of this version of qalign, so the file cannot be continued; name another --out or remove the file.`,
    );
  const lines = wholeLines(createReadStream(path), { tooLong: () => foreign(number + 1) });
  for await (const { start, end, text } of format === 'csv' ? joinQuoted(lines) : lines) {
    number += 1;
    const line = format === 'csv' ? readCsv(text, number) : readJson(text);
    if (line === undefined) throw foreign(number);
    yield { start, end, text, line: line === 'header' ? undefined : line };
  }
}

/** A line end inside quotes belongs to its cell. */
async function* joinQuoted(lines: AsyncIterable<Line>): AsyncGenerator<Omit<Line, 'number'>, void, undefined> {
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

type Fields = Readonly<Record<string, unknown>>;

function readJson(text: string): WrittenLine | undefined {
  try {
    const value = JSON.parse(text) as Fields;
    const warned = Array.isArray(value['warnings']) && value['warnings'].length > 0;
    return toLine(value, { failed: value['error'] !== undefined, warned });
  } catch {
    return undefined;
  }
}

function readCsv(text: string, number: number): WrittenLine | 'header' | undefined {
  if (number === 1) return text === CSV_HEADER ? 'header' : undefined;
  try {
    const [cells]: string[][] = parse(text);
    if (cells?.length !== CSV_COLUMNS.length) return undefined;
    const filled = CSV_COLUMNS.map((name, at) => [name, cells[at]] as const).filter(([, cell]) => cell !== '');
    const fields: Fields = { input: '', ...Object.fromEntries(filled) };
    return toLine(fields, { failed: fields['error_code'] !== undefined, warned: fields['warnings'] !== undefined });
  } catch {
    return undefined;
  }
}

function toLine(
  { input, input_base64: base64, task, schema_version, score_version, file_size, modified, sha256, score }: Fields,
  { failed, warned }: { readonly failed: boolean; readonly warned: boolean },
): WrittenLine | undefined {
  if (typeof input !== 'string' || typeof task !== 'string' || Number(schema_version) !== SCHEMA_VERSION)
    return undefined;
  if (!failed && typeof score_version !== 'string') return undefined;
  return {
    key: keyOf(task, input, base64 as string | undefined),
    identity: {
      ...(file_size === undefined ? {} : { bytes: Number(file_size) }),
      ...(modified === undefined ? {} : { modified: modified as string }),
      ...(sha256 === undefined ? {} : { sha256: sha256 as string }),
    },
    scoreVersion: failed ? undefined : (score_version as string),
    failed,
    warned,
    score: failed ? NaN : Number(score),
  };
}
