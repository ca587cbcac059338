import { createReadStream } from 'node:fs';
import { open, stat } from 'node:fs/promises';
import { parse } from 'csv-parse/sync';
import { QalignError } from '../../base/errors.js';
import { reasonOf } from '../../base/files/reason.js';
import { wholeLines, type Line } from '../../base/files/lines.js';
import { expandRow, type CompactMeta } from '../score/layout/compact.js';
import type { Fields } from '../score/layout/recognise.js';
import { foreignSidecar, readSidecar } from '../score/layout/sidecar.js';
import { joinQuoted } from '../score/result-scan.js';
import { openParquetResults } from './parquet-reader.js';
import { invalid, notResult, type ResultsReader } from './stored-results.js';

/** @throws QalignError RESULTS_NOT_FOUND, RESULTS_INVALID */
export async function openResults(path: string): Promise<ResultsReader> {
  const { format, stamp } = await look(path);
  const reader =
    format === 'parquet'
      ? await openParquetResults(path)
      : createTextReader(path, format === 'csv' ? csvRows(path) : jsonRows(path));
  return {
    rows: () => reader.rows(),
    async row(start, length) {
      if ((await look(path)).stamp !== stamp)
        throw invalid(`${path} was changed after it was opened; end "qalign view" and start it again.`);
      return reader.row(start, length);
    },
    get isCut() {
      return reader.isCut;
    },
  };
}

type Format = 'parquet' | 'csv' | 'json';
/** Bytes of the start of a file that identify its format. The longest header of CSV is shorter. */
const HEAD = 4096;

/** The format of a file, and a value that changes when the file is rewritten. Appended rows do not change it. */
async function look(path: string): Promise<{ readonly format: Format; readonly stamp: string }> {
  const file = await open(path).catch((cause: unknown) => {
    throw new QalignError('RESULTS_NOT_FOUND', `${path} cannot be read (${reasonOf(cause)}); check its path.`, {
      cause,
    });
  });
  try {
    const { ino, dev, size } = await file.stat();
    const { buffer, bytesRead } = await file.read(Buffer.alloc(HEAD), 0, HEAD, 0);
    const format = formatOf(path, buffer.subarray(0, bytesRead).toString());
    return { format, stamp: `${dev} ${ino} ${format === 'parquet' ? size : ''}` };
  } finally {
    await file.close();
  }
}

/** `--format` allows any extension, so the content decides where it is clear. */
function formatOf(path: string, head: string): Format {
  if (head.startsWith('PAR1')) return 'parquet';
  const [first = ''] = head.replace(/^\ufeff/, '').trimStart().split(/\r?\n/); // prettier-ignore
  if (/^[[{]/.test(first)) return 'json';
  return /\.csv$/i.test(path) || first.split(',').includes('input') ? 'csv' : 'json';
}

/** The rows of one kind of text file. */
interface TextFormat {
  /** Joins lines to rows. */
  readonly join: (lines: AsyncIterable<Line>) => AsyncIterable<Omit<Line, 'number'>>;
  /** The fields of a row; undefined for a line without a row. @throws QalignError */
  readonly parse: (text: string, number: number) => Promise<Fields | undefined>;
}

function createTextReader(path: string, { join, parse }: TextFormat): ResultsReader {
  let isCut = false;
  return {
    get isCut() {
      return isCut;
    },
    async *rows() {
      const { size } = await stat(path);
      const tooLong = (): QalignError =>
        invalid(`${path} has no line ends; name a file that "qalign score --out" wrote.`);
      let number = 0;
      for await (const { text, start, end } of join(wholeLines(createReadStream(path), { tail: true, tooLong }))) {
        number += 1;
        try {
          const fields = await parse(text, number);
          if (fields !== undefined) yield { fields, start, length: end - start };
        } catch (error) {
          isCut = number > 1 && end >= size && (await lacksLineEnd(path, end));
          if (!isCut) throw error;
        }
      }
    },
    async row(start, length) {
      const file = await open(path);
      try {
        const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, start);
        const text = buffer.subarray(0, bytesRead).toString().replace(/\n$/, '');
        return (await parse(text, 0)) ?? {};
      } finally {
        await file.close();
      }
    },
  };
}

async function lacksLineEnd(path: string, end: number): Promise<boolean> {
  const file = await open(path);
  try {
    const { buffer } = await file.read(Buffer.alloc(1), 0, 1, Math.max(0, end - 1));
    return buffer[0] !== 10;
  } finally {
    await file.close();
  }
}

/** JSON lines, or an array with one row on each line, as `qalign score` writes both. */
function jsonRows(path: string): TextFormat {
  let meta: CompactMeta | undefined;
  return {
    join: (lines) => lines,
    async parse(line, number) {
      const text = line.replace(/^\ufeff/, '').trim().replace(/,$/, ''); // prettier-ignore
      if (['', '[', ']', '[]'].includes(text)) return undefined;
      const row = objectOf(text);
      if (row === undefined) throw notResult(path, `Line ${number}`, 'it is not a JSON object');
      if (typeof row['format'] === 'string' && row['format'].startsWith('qalign-predictions'))
        throw invalid(
          `${path} is a predictions file; name the folder of its evaluation, or create one with "qalign evaluate".`,
        );
      if (row['v'] === undefined) return meta === undefined ? row : (expandRow(row, meta) ?? row);
      meta ??= await readSidecar(path).catch((cause: unknown) => {
        throw invalid(
          `${path} is compact and its sidecar cannot be used; restore the file ${path}.meta.json, which was written with it.`,
          cause,
        );
      });
      const whole = expandRow(row, meta);
      if (whole === undefined)
        throw invalid(
          `${foreignSidecar(path, row['v'], meta).message.split(';')[0]}; restore the sidecar of this file.`,
        );
      return whole;
    },
  };
}

function objectOf(text: string): Fields | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Fields) : undefined;
  } catch {
    return undefined;
  }
}

/** CSV with a header. A cell with line ends is quoted. */
function csvRows(path: string): TextFormat {
  let header: readonly string[] | undefined;
  return {
    join: joinQuoted,
    async parse(line, number) {
      const text = line.replace(/^\ufeff/, '').replace(/\r$/, '');
      if (text === '') return undefined;
      const cells = cellsOf(text);
      if (header === undefined) {
        if (cells?.includes('input') !== true)
          throw invalid(
            `The first line of ${path} has no column "input"; name a file that "qalign score --out" wrote.`,
          );
        header = cells;
        return undefined;
      }
      if (cells?.length !== header.length)
        throw notResult(
          path,
          `Line ${number}`,
          `it has ${cells?.length ?? 'no'} cells, and the header has ${header.length}`,
        );
      return Object.fromEntries(header.map((name, i) => [name, cells[i]] as const).filter(([, cell]) => cell !== ''));
    },
  };
}

function cellsOf(text: string): string[] | undefined {
  try {
    const [cells]: string[][] = parse(text);
    return cells ?? [];
  } catch {
    return undefined;
  }
}
