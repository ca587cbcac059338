import { QalignError } from '../../../base/errors.js';
import { wholeLines } from '../../../base/files/lines.js';
import type { Stores } from '../store/store.js';
import { openNamed } from './open-named.js';
import { withoutKey, type PendingSample, type ReadOptions, type Sample } from './sample.js';

/** Fields of a line that can name the picture or clip, in order of preference. */
export const NAME_FIELDS = ['path', 'url', 'input', 'image_path', 'video_path', 'file_name', 'file', 'image', 'video'];
/** Fields that can hold the key, in order of preference. */
export const KEY_FIELDS = ['key', '__key__', 'id', 'image_id'];
const MOST_LINE = 1 << 24;

/**
 * Reads a JSONL manifest: each line is an object with the path or URL of a picture or clip, and a key. Without a field
 * for keys, the name is the key.
 *
 * @throws QalignError SHARD_DAMAGED with the line
 */
export async function* readManifestLines(
  chunks: AsyncIterable<Uint8Array>,
  shard: string,
  stores: Stores,
  options: ReadOptions,
): AsyncGenerator<PendingSample, void, undefined> {
  const damaged = (line: number, what: string): QalignError =>
    new QalignError('SHARD_DAMAGED', `Line ${line} of ${shard} ${what}.`);
  let read = 0;
  const tooLong = (): QalignError => damaged(read + 1, `is longer than ${MOST_LINE} bytes`);
  for await (const { number, text } of wholeLines(chunks, { tail: true, most: MOST_LINE, tooLong })) {
    read = number;
    if (text.trim() === '') continue;
    const row = objectOf(text);
    if (row === undefined) throw damaged(number, 'is not a JSON object');
    const name = NAME_FIELDS.map((field) => row[field]).find((value) => typeof value === 'string' && value !== '');
    if (typeof name !== 'string')
      throw damaged(number, `names no picture or clip; give it one of ${NAME_FIELDS.join(', ')}`);
    const key = keyOf(row, name);
    const open = async (): Promise<Sample> =>
      key === undefined ? withoutKey(shard, name, `Line ${number}`) : openNamed(key, name, shard, stores, options);
    yield { bytes: 0, open };
  }
}

/** The key of a row; undefined if its field is empty. Without such a field, `name`. */
export function keyOf(row: Readonly<Record<string, unknown>>, name: string | undefined): string | undefined {
  const field = KEY_FIELDS.find((one) => Object.hasOwn(row, one));
  if (field === undefined) return name;
  const value = row[field];
  if (typeof value === 'string') return value === '' ? undefined : value;
  return typeof value === 'number' || typeof value === 'bigint' ? String(value) : undefined;
}

function objectOf(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : undefined;
  } catch {
    return undefined;
  }
}
