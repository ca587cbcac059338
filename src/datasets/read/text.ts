import { open } from 'node:fs/promises';
import { basename } from 'node:path';
import { TextDecoder } from 'node:util';
import { QalignError } from '../../base/errors.js';

/** Small, so that the rows of a chunk are gone before the garbage collector has to move them. */
const CHUNK = 1 << 16;
/** No table of ratings has longer lines; ten to the six columns end here. */
export const MAX_LINE = 4 << 20;

export interface LineBatch {
  readonly lines: readonly string[];
  /** Line number of the first, from 1. */
  readonly first: number;
}

/**
 * Lines of a text file in batches of some thousand: UTF-8 with or without BOM, or UTF-16 with BOM; LF, CRLF or CR.
 * @throws QalignError DATASET_NOT_FOUND, DATASET_UNREADABLE (a folder, another encoding, a line over MAX_LINE)
 */
export async function* readLines(path: string): AsyncGenerator<LineBatch> {
  const name = basename(path);
  const file = await openLabels(path);
  try {
    const buffer = Buffer.allocUnsafe(CHUNK);
    let decoder: TextDecoder | undefined;
    let rest = '';
    let first = 1;
    let bytes = 0;
    for (;;) {
      const { bytesRead } = await file.read(buffer, 0, CHUNK);
      const chunk = buffer.subarray(0, bytesRead);
      decoder ??= decoderOf(chunk, name);
      const text =
        rest + decode(decoder, chunk, bytesRead > 0, () => `${name}:${first + count(rest)} (byte ${bytes} or after)`);
      bytes += bytesRead;
      const lines = splitLines(text, bytesRead === 0);
      rest = bytesRead === 0 ? '' : (lines.pop() ?? '');
      if (lines.length > 0) yield { lines, first };
      first += lines.length;
      if (rest.length > MAX_LINE)
        throw new QalignError(
          'DATASET_UNREADABLE',
          `${name}:${first}: the line is longer than ${MAX_LINE} characters; a table of ratings has one short line per picture.`,
        );
      if (bytesRead === 0) return;
    }
  } finally {
    await file.close();
  }
}

/**
 * A whole text file, decoded as `readLines` does; for what has no lines of its own. @throws QalignError
 * DATASET_UNREADABLE with the line
 */
export function decodeText(bytes: Uint8Array, name: string): string {
  const decoder = decoderOf(bytes, name);
  return decode(decoder, bytes, false, () => {
    const before = new TextDecoder(decoder.encoding).decode(bytes).split('\ufffd')[0] ?? '';
    return `${name}:${1 + count(before)}`;
  });
}

/** Opens a label file, saying what is wrong where it is a folder or missing. */
export async function openLabels(path: string): Promise<Awaited<ReturnType<typeof open>>> {
  try {
    const file = await open(path);
    if ((await file.stat()).isFile()) return file;
    await file.close();
  } catch (cause) {
    const missing = (cause as NodeJS.ErrnoException).code === 'ENOENT';
    throw new QalignError(
      missing ? 'DATASET_NOT_FOUND' : 'DATASET_UNREADABLE',
      `The label file ${path} cannot be read: ${(cause as Error).message}.`,
      { cause },
    );
  }
  throw new QalignError(
    'DATASET_UNREADABLE',
    `${path} is no file; name the label file itself, or use it as the folder of a named data set.`,
  );
}

function decoderOf(start: Uint8Array, name: string): TextDecoder {
  const [a, b] = start;
  if (a === 0xff && b === 0xfe) return new TextDecoder('utf-16le', { fatal: true });
  if (a === 0xfe && b === 0xff) return new TextDecoder('utf-16be', { fatal: true });
  if (start.subarray(0, 4096).includes(0))
    throw new QalignError(
      'DATASET_UNREADABLE',
      `${name} holds zero bytes: it is no text, or UTF-16 without its byte order mark; save it as UTF-8.`,
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

/** The last element is what follows the last line end; at the end of the file it is dropped when empty. */
function splitLines(text: string, atEnd: boolean): string[] {
  let held = '';
  let body = text;
  // a CR at the very end may be half of a CRLF
  if (!atEnd && body.endsWith('\r')) {
    held = '\r';
    body = body.slice(0, -1);
  }
  const lines = body.includes('\r') ? body.split(/\r\n|\n|\r/) : body.split('\n');
  lines.push((lines.pop() ?? '') + held);
  if (atEnd && lines.at(-1) === '') lines.pop();
  return lines;
}

function count(text: string): number {
  return text.split('\n').length - 1;
}
