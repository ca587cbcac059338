import { createReadStream } from 'node:fs';
import { parse } from 'csv-parse/sync';
import { QalignError } from '../../base/errors.js';
import { wholeLines, type Line } from '../../base/files/lines.js';
import { CSV_COLUMNS, CSV_HEADER } from './result-csv.js';

/** What resuming needs to know of a line that was written. */
export interface WrittenLine {
  readonly input: string;
  readonly task: string;
  readonly scoreVersion: string | undefined;
  readonly failed: boolean;
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
      `Line ${at} of ${path} is not a result of qalign, so the file cannot be continued; name another --out or remove the file.`,
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

function readJson(text: string): WrittenLine | undefined {
  try {
    const value = JSON.parse(text) as {
      input?: unknown;
      task?: unknown;
      score?: unknown;
      score_version?: unknown;
      error?: unknown;
    };
    if (typeof value.input !== 'string' || typeof value.task !== 'string') return undefined;
    const failed = value.error !== undefined;
    if (!failed && typeof value.score_version !== 'string') return undefined;
    return {
      input: value.input,
      task: value.task,
      scoreVersion: failed ? undefined : (value.score_version as string),
      failed,
      score: failed ? NaN : Number(value.score),
    };
  } catch {
    return undefined;
  }
}

function readCsv(text: string, number: number): WrittenLine | 'header' | undefined {
  if (number === 1) return text === CSV_HEADER ? 'header' : undefined;
  try {
    const [cells]: string[][] = parse(text);
    if (cells?.length !== CSV_COLUMNS.length) return undefined;
    const at = (name: (typeof CSV_COLUMNS)[number]): string => cells[CSV_COLUMNS.indexOf(name)] as string;
    const failed = at('error_code') !== '';
    return {
      input: at('input'),
      task: at('task'),
      scoreVersion: failed ? undefined : at('score_version'),
      failed,
      score: failed ? NaN : Number(at('score')),
    };
  } catch {
    return undefined;
  }
}
