import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import { problemWith } from '../../../bridge/validate.js';
import { QalignError } from '../../base/errors.js';
import { wholeLines } from '../../base/files/lines.js';
import { ItemSource } from '../../api/score.js';

/** Longest line in bytes: enough for an item with a small picture as base64, too short for a file without line ends. */
const LONGEST = 16 * 1024 ** 2;
const tooLong = (): QalignError =>
  new QalignError('BODY_TOO_LARGE', `A line of the list is longer than ${LONGEST} bytes.`);
const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * Writes the list of a job as JSON lines and checks each line as it arrives. At most one line is in memory.
 * @returns the number of items and a hash of them
 * @throws QalignError BODY_INVALID with the number of the bad line, BODY_TOO_LARGE
 */
export async function writeManifest(
  path: string,
  chunks: AsyncIterable<Uint8Array | string>,
  most: number,
): Promise<{ total: number; sha256: string }> {
  const hash = createHash('sha256');
  let total = 0;
  async function* normalised(): AsyncGenerator<string> {
    for await (const { text } of wholeLines(counted(chunks, most), { tail: true, most: LONGEST, tooLong, decode })) {
      if (text.trim() === '') continue;
      total += 1;
      const line = `${JSON.stringify(readLine(text, total))}\n`;
      hash.update(line);
      yield line;
    }
  }
  await pipeline(normalised, createWriteStream(path, { flags: 'wx', flush: true }));
  if (total === 0)
    throw new QalignError(
      'BODY_INVALID',
      'The list of the job is empty; write a path, a URL or a JSON object on each line.',
    );
  return { total, sha256: hash.digest('hex') };
}

/** Yields the items from number `skip` on. */
export async function* readManifest(
  path: string,
  skip: number,
): AsyncGenerator<{ index: number; item: ItemSource }, void, undefined> {
  for await (const { number, text } of wholeLines(createReadStream(path), { tail: true }))
    if (number > skip) yield { index: number - 1, item: JSON.parse(text) as ItemSource };
}

/** Parses a line: a JSON object as in a request, or a path or URL. */
function readLine(text: string, number: number): ItemSource {
  if (!text.trimStart().startsWith('{'))
    return /^https?:\/\//i.test(text.trim()) ? { url: text.trim() } : { path: text.replace(/\r$/, '') };
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new QalignError('BODY_INVALID', `Item ${number} of the list is not JSON: ${(cause as Error).message}.`, {
      cause,
    });
  }
  const problem = problemWith(ItemSource, value);
  if (problem !== undefined)
    throw new QalignError('BODY_INVALID', `Item ${number} of the list does not match its schema at ${problem}.`);
  const item = value as ItemSource;
  if ([item.base64, item.url, item.path].filter((one) => one !== undefined).length !== 1)
    throw new QalignError('BODY_INVALID', `Item ${number} of the list needs exactly one of base64, url and path.`);
  return item;
}

/** Throws after more than `most` bytes. */
async function* counted(
  chunks: AsyncIterable<Uint8Array | string>,
  most: number,
): AsyncGenerator<Uint8Array, void, undefined> {
  let bytes = 0;
  for await (const chunk of chunks) {
    bytes += chunk.length;
    if (bytes > most)
      throw new QalignError('BODY_TOO_LARGE', `The list is larger than ${most} bytes; split it into several jobs.`);
    yield typeof chunk === 'string' ? Buffer.from(chunk) : chunk;
  }
}

/** Skips a byte order mark before the first line. */
function decode(bytes: Uint8Array, number: number): string {
  try {
    const text = UTF8.decode(bytes);
    return number === 1 ? text.replace(/^\ufeff/, '') : text;
  } catch (cause) {
    throw new QalignError('BODY_INVALID', 'The list is not UTF-8 text.', { cause });
  }
}
