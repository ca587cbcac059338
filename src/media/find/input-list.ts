import { isUtf8 } from 'node:buffer';
import { QalignError } from '../../base/errors.js';
import { sniff, SNIFF_BYTES, type Sniffed } from '../decode/magic.js';
import { pathFrom, mediaAt } from '../media-input.js';
import { isText } from './is-media.js';
import { STDIN_NAME, type SourceName } from './media-source.js';

/** The content of stdin: a list of input names, or one picture or clip. */
export type Stdin =
  | { readonly is: 'list'; readonly bytes: AsyncIterable<Buffer> }
  | { readonly is: 'media'; readonly bytes: AsyncIterable<Buffer> };

/** Media formats that begin with text, in addition to the unreadable ones. */
const TEXT_FORMATS = new Set(['y4m', 'pnm']);
const LINE = 0x0a;

/**
 * Distinguishes a list of names from a picture or clip by the first bytes. For a slow list, the first line is enough.
 *
 * @throws QalignError MEDIA_UNSUPPORTED if it is neither
 */
export async function readStdin(input: AsyncIterable<Buffer | string>): Promise<Stdin> {
  const iterator = input[Symbol.asyncIterator]();
  let start = Buffer.alloc(0);
  let ended = false;
  // "BM1.jpg" can be a name or the start of a BMP picture; only more bytes decide
  while (!ended && start.length < SNIFF_BYTES && !(isFirstNames(start) && sniff(start).kind === 'unknown')) {
    const next = await iterator.next();
    if (next.done === true) ended = true;
    else start = Buffer.concat([start, Buffer.from(next.value)]);
  }
  const is = whatIs(start, ended);
  return { is, bytes: continued(start, ended ? undefined : iterator) };
}

async function* continued(
  start: Buffer,
  rest: AsyncIterator<Buffer | string> | undefined,
): AsyncGenerator<Buffer, void, undefined> {
  yield start;
  for (let next = await rest?.next(); next !== undefined && next.done !== true; next = await rest?.next())
    yield Buffer.from(next.value);
}

function whatIs(start: Buffer, ended: boolean): Stdin['is'] {
  const sniffed = sniff(start);
  if (TEXT_FORMATS.has(sniffed.format) || sniffed.unreadable?.text === 'magic') return 'media';
  if (isUtf16(start))
    throw new QalignError(
      'MEDIA_UNSUPPORTED',
      `${STDIN_NAME} contains text in UTF-16; convert the list of names to UTF-8.`,
    );
  if (isFirstNames(start) || (ended && isNames(start))) return 'list';
  if (sniffed.kind !== 'unknown' || isKnown(sniffed)) return 'media';
  throw new QalignError(
    'MEDIA_UNSUPPORTED',
    `${STDIN_NAME} contains neither a list of file names nor a known picture or clip; separate names by line breaks or NUL.`,
  );
}

/** Detects UTF-16 by its byte order mark, or by a NUL before or after every letter. */
function isUtf16(start: Buffer): boolean {
  if (start.length >= 2 && [0xfeff, 0xfffe].includes(start.readUInt16LE(0))) return true;
  const begin = start.subarray(0, 64);
  return begin.length >= 8 && [0, 1].some((zeros) => begin.every((byte, at) => (byte === 0) === (at % 2 === zeros)));
}

/** A file of a recognised type fails with the name of its type. */
const isKnown = ({ unreadable }: Sniffed): boolean => unreadable !== undefined && unreadable.text !== 'plain';

/** At least one complete name with its separator. */
function isFirstNames(start: Buffer): boolean {
  return (start.includes(0) || start.includes(LINE)) && isNames(start);
}

/**
 * File names are text, or non-empty texts separated by NUL. Names can begin with magic words such as "BM" or "GIF89a",
 * but media have control bytes after them.
 */
function isNames(start: Buffer): boolean {
  if (!start.includes(0)) return isText(start);
  const names = start.toString('latin1').split('\0');
  const whole = names.slice(0, -1);
  return whole.every((name) => name !== '') && names.every((name) => isText(Buffer.from(name, 'latin1')));
}

/**
 * Yields names of any bytes, as `find` and `ls` print them. If the first chunk with a separator contains a NUL, the
 * list is from `find -print0`, and names can contain line breaks.
 */
export async function* listedNames(
  input: AsyncIterable<Buffer | string>,
  signal?: AbortSignal,
): AsyncGenerator<SourceName, void, undefined> {
  let open = Buffer.alloc(0);
  let separator: number | undefined;
  let isFirst = true;
  for await (const chunk of input) {
    signal?.throwIfAborted();
    open = Buffer.concat([open, Buffer.from(chunk)]);
    separator ??= open.includes(0) ? 0 : open.includes(LINE) ? LINE : undefined;
    if (separator === undefined) continue;
    let from = 0;
    for (let to = open.indexOf(separator); to >= 0; to = open.indexOf(separator, from)) {
      yield* named(open.subarray(from, to), separator, isFirst);
      isFirst = false;
      from = to + 1;
    }
    open = Buffer.from(open.subarray(from));
  }
  yield* named(open, separator ?? LINE, isFirst);
}

function* named(bytes: Buffer, separator: number, isFirst: boolean): Generator<SourceName, void, undefined> {
  let name = bytes;
  if (isFirst && name.subarray(0, 3).equals(BYTE_ORDER_MARK)) name = name.subarray(3);
  if (separator === LINE && name.at(-1) === 0x0d) name = name.subarray(0, -1);
  if (isUtf8(name) && ['', '-'].includes(name.toString().trim())) return;
  yield mediaAt(pathFrom(Buffer.from(name)));
}

/** Windows programs write it at the start of UTF-8 files. */
const BYTE_ORDER_MARK = Buffer.from([0xef, 0xbb, 0xbf]);
