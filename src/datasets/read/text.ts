import type { FileHandle } from 'node:fs/promises';
import { basename } from 'node:path';
import { TextDecoder } from 'node:util';
import { QalignError } from '../../base/errors.js';
import { wholeRuns } from '../../base/files/lines.js';
import { openWithin, type Reach } from '../../base/files/reach.js';
import { reasonOf } from '../../base/files/reason.js';

/** Small chunks, so that their rows are garbage before the collector moves them to the old generation. */
const CHUNK = 1 << 16;
const [LF, CR] = [0x0a, 0x0d];
/** Maximum length of a line in bytes. Longer lines occur only in files that are not tables of ratings. */
export const MAX_LINE = 4 << 20;

export interface LineBatch {
  readonly lines: readonly string[];
  /** Number of the first line, from 1. */
  readonly first: number;
}

/**
 * Reads the lines of a text file in batches of some thousand. Supports UTF-8 with or without BOM, UTF-16 with BOM, and
 * the line ends LF, CRLF and CR.
 * @param within allowed location of the opened file; default: anywhere
 * @throws QalignError DATASET_NOT_FOUND, DATASET_UNREADABLE (a folder, another encoding, a line over MAX_LINE),
 * PATH_FORBIDDEN
 */
export async function* readLines(path: string, within?: Reach): AsyncGenerator<LineBatch> {
  const name = basename(path);
  const file = await openLabels(path, within);
  try {
    let decoder: TextDecoder | undefined;
    let first = 1;
    const runs = wholeRuns(chunksOf(file), {
      tail: true,
      most: MAX_LINE,
      wholeLength(chunk, place) {
        decoder ??= decoderOf(chunk, name);
        return decoder.encoding === 'utf-8' ? wholeLength(chunk) : wholeLength16(chunk, place, decoder.encoding);
      },
      tooLong: () =>
        new QalignError(
          'DATASET_UNREADABLE',
          `${name}:${first}: the line is longer than ${MAX_LINE} bytes; write one line per picture.`,
        ),
    });
    for await (const { bytes, start } of runs) {
      const lines = splitLines(decode(decoder!, bytes, true, () => `${name}:${first} (byte ${start} or after)`));
      yield { lines, first };
      first += lines.length;
    }
    if (decoder !== undefined) decode(decoder, new Uint8Array(0), false, () => `${name}:${first - 1} (its end)`);
  } finally {
    await file.close();
  }
}

async function* chunksOf(file: FileHandle): AsyncGenerator<Buffer, void, undefined> {
  const buffer = Buffer.allocUnsafe(CHUNK);
  for (;;) {
    const { bytesRead } = await file.read(buffer, 0, CHUNK);
    if (bytesRead === 0) return;
    yield buffer.subarray(0, bytesRead);
  }
}

/** Length up to the last LF or CR. A CR at the end of the chunk can be the first half of a CRLF. */
function wholeLength(chunk: Buffer): number {
  const end = chunk.at(-1) === CR ? chunk.length - 2 : chunk.length - 1;
  return end < 0 ? 0 : 1 + Math.max(chunk.lastIndexOf(LF, end), chunk.lastIndexOf(CR, end));
}

/** The same for UTF-16, whose code units start at even offsets of the file. */
function wholeLength16(chunk: Buffer, place: number, encoding: string): number {
  const [high, low] = encoding === 'utf-16le' ? [1, 0] : [0, 1];
  const last = chunk.length - 2 - ((place + chunk.length) % 2);
  for (let at = last; at >= 0; at -= 2) {
    const unit = chunk[at + high] === 0 ? chunk[at + low] : undefined;
    if (unit === LF || (unit === CR && at < last)) return at + 2;
  }
  return 0;
}

/**
 * Decodes a whole text file like `readLines`, for formats that are not line-based.
 * @throws QalignError DATASET_UNREADABLE with the line number
 */
export function decodeText(bytes: Uint8Array, name: string): string {
  const decoder = decoderOf(bytes, name);
  return decode(decoder, bytes, false, () => {
    const before = new TextDecoder(decoder.encoding).decode(bytes).split('\ufffd')[0] ?? '';
    return `${name}:${1 + count(before)}`;
  });
}

/**
 * Opens a label file.
 * @throws QalignError DATASET_NOT_FOUND, DATASET_UNREADABLE (also for a folder)
 */
export async function openLabels(path: string, within?: Reach): Promise<FileHandle> {
  try {
    const file = await openWithin(path, within);
    if ((await file.stat()).isFile()) return file;
    await file.close();
  } catch (cause) {
    if (cause instanceof QalignError) throw cause;
    const missing = (cause as NodeJS.ErrnoException).code === 'ENOENT';
    throw new QalignError(
      missing ? 'DATASET_NOT_FOUND' : 'DATASET_UNREADABLE',
      `${path} cannot be read: ${reasonOf(cause)}.`,
      { cause },
    );
  }
  throw new QalignError(
    'DATASET_UNREADABLE',
    `${path} is not a file; name the label file itself, or use the folder with a named data set.`,
  );
}

/** Reads a whole label file. */
export async function readLabels(path: string, within?: Reach): Promise<Buffer> {
  const file = await openLabels(path, within);
  try {
    return await file.readFile();
  } finally {
    await file.close();
  }
}

function decoderOf(start: Uint8Array, name: string): TextDecoder {
  const [a, b] = start;
  if (a === 0xff && b === 0xfe) return new TextDecoder('utf-16le', { fatal: true });
  if (a === 0xfe && b === 0xff) return new TextDecoder('utf-16be', { fatal: true });
  if (start.subarray(0, 4096).includes(0))
    throw new QalignError(
      'DATASET_UNREADABLE',
      `${name} has zero bytes, so it is not text, or is UTF-16 without a byte order mark; save it as UTF-8.`,
    );
  return new TextDecoder('utf-8', { fatal: true });
}

function decode(decoder: TextDecoder, chunk: Uint8Array, stream: boolean, place: () => string): string {
  try {
    return decoder.decode(chunk, { stream });
  } catch (cause) {
    throw new QalignError(
      'DATASET_UNREADABLE',
      `${place()}: the text is not ${decoder.encoding.toUpperCase()}; save the file as UTF-8.`,
      { cause },
    );
  }
}

/** Splits text that ends with a line end or at the end of the file. */
function splitLines(text: string): string[] {
  const lines = text.includes('\r') ? text.split(/\r\n|\n|\r/) : text.split('\n');
  if (lines.at(-1) === '') lines.pop();
  return lines;
}

function count(text: string): number {
  return text.split('\n').length - 1;
}
