import { QalignError } from '../../../base/errors.js';
import { sniff, SNIFF_BYTES } from '../../../media/decode/magic.js';
import { isMediaFile } from '../../../media/find/is-media.js';
import { keyOf, keyOfText, readJsonRow, type Key } from './key.js';
import { failedSample, sampleOfBytes, tooLarge, withoutKey, type ReadOptions, type Sample } from './sample.js';
import { readTar, type TarMember } from './tar.js';

/** Consecutive members with one base name. */
interface Members {
  readonly base: string;
  readonly media: TarMember[];
  /** The key in a JSON member. */
  key: Key | undefined;
}

/** Fields of a JSON member that can hold the key, in order of preference. */
const JSON_FIELDS = ['key', 'uid'];
/** Largest JSON member that is searched for a key. */
const MOST_JSON = 1 << 24;

/**
 * Reads the samples of a WebDataset shard. Consecutive members whose paths are equal up to the first dot of the base
 * name are one sample. Each picture and clip of a sample is scored; other members are ignored. The key is the field
 * `key` of a JSON member, as img2dataset writes it, or else its `uid`, otherwise the path up to that dot.
 *
 * @param shard its name in messages
 * @throws QalignError SHARD_DAMAGED
 */
export async function* readWebDataset(
  chunks: AsyncIterable<Uint8Array>,
  shard: string,
  { most }: ReadOptions,
): AsyncGenerator<Sample, void, undefined> {
  let current: Members | undefined;
  let number = 0;
  for await (const member of readTar(chunks, shard, most)) {
    const { base, ending } = split(member.name);
    if (base !== current?.base) {
      if (current !== undefined) yield* samplesOf(current, shard, (number += 1), most);
      current = { base, media: [], key: undefined };
    }
    if (ending === 'json') current.key ??= keyInJson(member.bytes);
    else if (isMedia(member)) current.media.push(member);
  }
  if (current !== undefined) yield* samplesOf(current, shard, number + 1, most);
}

async function* samplesOf(
  { base, media, key: given }: Members,
  shard: string,
  number: number,
  most: number,
): AsyncGenerator<Sample, void, undefined> {
  const found = given ?? keyOfText(base.endsWith('/') ? '' : base);
  const [first] = media;
  if ('why' in found) {
    const name = first?.name ?? base;
    yield withoutKey(shard, name, `Sample ${number} (${name})`, found.why);
    return;
  }
  const { key } = found;
  if (first === undefined) {
    const error = new QalignError('MEDIA_NOT_FOUND', `The sample ${key} of ${shard} has no picture or clip.`);
    yield failedSample(key, base, error);
  } else
    for (const { name, size, bytes } of media)
      yield bytes === undefined
        ? failedSample(key, name, tooLarge(name, size, most))
        : await sampleOfBytes(key, name, bytes);
}

/** `a/b.seg.png` → `a/b` and `seg.png`, as WebDataset divides names. */
function split(name: string): { base: string; ending: string } {
  const path = name.replace(/^(?:\.\/)+/, '');
  const dot = path.indexOf('.', path.lastIndexOf('/') + 1);
  return dot < 0 ? { base: path, ending: '' } : { base: path.slice(0, dot), ending: path.slice(dot + 1).toLowerCase() };
}

/** By content and ending, as files of folders are found. A member that was too large to read counts by its ending. */
function isMedia({ name, bytes }: TarMember): boolean {
  const start = (bytes ?? new Uint8Array()).subarray(0, SNIFF_BYTES);
  return isMediaFile(name, start, sniff(start));
}

/** Undefined for JSON without a key, or that cannot be read: img2dataset writes it beside the picture. */
function keyInJson(bytes: Buffer | undefined): Key | undefined {
  if (bytes === undefined || bytes.length > MOST_JSON) return undefined;
  const json = readJsonRow(bytes.toString('utf8'));
  const field = JSON_FIELDS.find((one) => isKey(json?.row[one]));
  return json === undefined || field === undefined ? undefined : keyOf(json.row, undefined, [field], json.sourceOf);
}

const isKey = (value: unknown): boolean => typeof value === 'number' || (typeof value === 'string' && value !== '');
