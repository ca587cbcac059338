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
  /** Bytes of its media. */
  bytes: number;
  /** The key in a JSON member. */
  key: Key | undefined;
}

/** Most pictures and clips of one sample, which are held until it is complete. */
const MOST_MEDIA = 256;
/** Bytes that the media of a sample can have together, above the limit of one. */
const MORE_BYTES = 1 << 26;
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
    if (member.problem !== undefined && ending !== 'json' && !isMedia(member)) continue;
    if (base !== current?.base) {
      if (current !== undefined) yield* samplesOf(current, shard, (number += 1), most);
      current = { base, media: [], bytes: 0, key: undefined };
    }
    if (ending === 'json') current.key ??= keyInJson(member);
    else if (isMedia(member)) addMedia(current, member, shard, most);
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
    for (const { name, size, bytes, problem } of media)
      if (bytes !== undefined) yield await sampleOfBytes(key, name, bytes);
      else if (problem === undefined) yield failedSample(key, name, tooLarge(name, size, most));
      else yield failedSample(key, name, new QalignError('MEDIA_UNREADABLE', `${name} of ${shard} ${problem}.`));
}

/** Holds a picture or clip until its sample is complete. @throws QalignError SHARD_DAMAGED for too many */
function addMedia(sample: Members, member: TarMember, shard: string, most: number): void {
  sample.media.push(member);
  sample.bytes += member.bytes?.length ?? 0;
  const isTooMuch = sample.media.length > MOST_MEDIA || (sample.media.length > 1 && sample.bytes > most + MORE_BYTES);
  if (!isTooMuch) return;
  throw new QalignError(
    'SHARD_DAMAGED',
    `${shard} has more than ${MOST_MEDIA} pictures and clips or ${most + MORE_BYTES} bytes of them in the sample ` +
      `${sample.base}, which is too much to hold. WebDataset takes members whose names are equal up to the first dot ` +
      `for one sample; put what differs before the first dot, as clip-00000.jpg for clip.00000.jpg.`,
  );
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
function keyInJson({ name, bytes, problem }: TarMember): Key | undefined {
  if (problem !== undefined) return { why: `has its key in ${name}, which ${problem}` };
  if (bytes === undefined || bytes.length > MOST_JSON) return undefined;
  const json = readJsonRow(bytes.toString('utf8'));
  const field = JSON_FIELDS.find((one) => isKey(json?.row[one]));
  return json === undefined || field === undefined ? undefined : keyOf(json.row, undefined, [field], json.sourceOf);
}

const isKey = (value: unknown): boolean => typeof value === 'number' || (typeof value === 'string' && value !== '');
