import { QalignError } from '../../../base/errors.js';
import { wholeLines } from '../../../base/files/lines.js';
import type { Stores } from '../store/store.js';
import { keyOf, KEY_FIELDS, readJsonRow } from './key.js';
import { openNamed } from './open-named.js';
import { withoutKey, type PendingSample, type ReadOptions, type Sample } from './sample.js';

/** Fields of a line that can name the picture or clip, in order of preference. */
export const NAME_FIELDS = ['path', 'url', 'input', 'image_path', 'video_path', 'file_name', 'file', 'image', 'video'];
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
    const json = readJsonRow(text);
    if (json === undefined) throw damaged(number, 'is not a JSON object');
    const { row, sourceOf } = json;
    const name = NAME_FIELDS.map((field) => row[field]).find((value) => typeof value === 'string' && value !== '');
    if (typeof name !== 'string')
      throw damaged(number, `names no picture or clip; give it one of ${NAME_FIELDS.join(', ')}`);
    const key = keyOf(row, name, KEY_FIELDS, sourceOf);
    const open = async (): Promise<Sample> =>
      'why' in key
        ? withoutKey(shard, name, `Line ${number}`, key.why)
        : openNamed(key.key, name, shard, stores, options);
    yield { bytes: 0, open };
  }
}
