import { QalignError } from '../../base/errors.js';
import { wholeLines } from '../../base/files/lines.js';
import { isGlob } from '../../media/find/glob-pattern.js';
import { expandBraces } from './braces.js';
import type { ShardLine } from './events.js';
import { fixedFolder } from './fixed-folder.js';
import { commonFolder, isOwnName, kindOfShard, plainName, outputName, placeOf, type ShardFormat } from './names.js';
import { createStores } from './store/open-stores.js';
import type { Stores } from './store/store.js';

/** Which shards of a list a run takes, and how its results are named. */
export interface ExpandShardsOptions {
  /**
   * Format of the results.
   * @default 'parquet'
   */
  readonly format?: ShardFormat | undefined;
  /** Ends the search. */
  readonly signal?: AbortSignal | undefined;
}

/** Endings of files with a pattern on each line. */
const LISTS = ['.txt', '.list'];

/**
 * Expands patterns to shards, sorted by name and without repetitions. A pattern is a name with braces (`{000..099}`), a
 * glob, or a file `.txt` or `.list` with patterns. All of them can be `s3://`. Names without wildcards are not looked
 * up here. Files that qalign writes for shards are left out. Two spellings of a path are one shard.
 *
 * Results are named by the folders that all patterns share before their first wildcard or brace. These names do not
 * depend on the files that are there.
 *
 * @throws QalignError SHARD_NOT_FOUND for a glob without a match, a missing list, and no shard at all
 * @throws QalignError USAGE for an unknown ending, and for two shards whose results would have the same name
 * @example
 * for (const { shard, output } of await expandShards(['data/{00000..00099}.tar'])) console.log(shard, output);
 */
export async function expandShards(
  patterns: readonly string[],
  { format = 'parquet', signal }: ExpandShardsOptions = {},
): Promise<ShardLine[]> {
  const stores = createStores({ signal });
  try {
    return await expandIn(stores, patterns, format);
  } finally {
    await stores.close();
  }
}

/** `expandShards` in open stores. @param most largest number of shards */
export async function expandIn(
  stores: Stores,
  patterns: readonly string[],
  format: ShardFormat,
  most = Infinity,
): Promise<ShardLine[]> {
  const names = new Map<string, string>();
  const folders = new Set<string>();
  for (const pattern of patterns)
    for await (const { name, folder } of namesOf(pattern, stores)) {
      const place = placeOf(name);
      folders.add(place.startsWith(folder) ? folder : commonFolder([place]));
      if (!names.has(place)) names.set(place, plainName(name));
      if (names.size > most)
        throw new QalignError('USAGE', `The patterns stand for more than ${most} shards; divide them.`);
    }
  if (names.size === 0)
    throw new QalignError(
      'SHARD_NOT_FOUND',
      `${patterns.join(' ')} names no shard; results and lists of qalign are none.`,
    );
  const shards = [...names].sort(([, a], [, b]) => (a < b ? -1 : 1));
  for (const [, shard] of shards) kindOfShard(shard);
  return withOutputs(shards, commonFolder([...folders]), format);
}

/** @param shards place and name of each @param common folder of all places; empty if some are local and some are not */
function withOutputs(
  shards: readonly (readonly [place: string, shard: string])[],
  common: string,
  format: ShardFormat,
): ShardLine[] {
  const byOutput = new Map<string, string>();
  return shards.map(([place, shard], index) => {
    const output = outputName(common === '' ? shard : place, format, common);
    const other = byOutput.get(output);
    if (other !== undefined)
      throw new QalignError(
        'USAGE',
        `The results of ${other} and ${shard} would have the same name; rename one of them.`,
      );
    byOutput.set(output, shard);
    return { shard, index, output };
  });
}

interface Named {
  readonly name: string;
  /** The fixed folder of its pattern, as `placeOf` with a slash at the end. */
  readonly folder: string;
}

/** Names of shards; see `isOwnName`. */
async function* namesOf(pattern: string, stores: Stores, inList = false): AsyncGenerator<Named, void, undefined> {
  const folder = placeOf(fixedFolder(pattern));
  for (const name of expandBraces(pattern)) {
    if (LISTS.some((ending) => name.endsWith(ending)) && !inList) yield* listedIn(name, stores);
    else if (!isGlob(name)) {
      if (!isOwnName(name)) yield { name, folder };
    } else {
      let isEmpty = true;
      for await (const found of (await stores.of(name)).list(name)) {
        if (isOwnName(found)) continue;
        isEmpty = false;
        yield { name: found, folder };
      }
      if (isEmpty) throw new QalignError('SHARD_NOT_FOUND', `No shard matches ${name}; check the pattern.`);
    }
  }
}

/** Relative names in a list are relative to the current folder, as on the command line. */
async function* listedIn(list: string, stores: Stores): AsyncGenerator<Named, void, undefined> {
  const store = await stores.of(list);
  if ((await store.stat(list)) === undefined)
    throw new QalignError('SHARD_NOT_FOUND', `The list ${list} does not exist.`);
  for await (const { text } of wholeLines(store.stream(list), { tail: true })) {
    const line = text.trim();
    if (line !== '' && !line.startsWith('#')) yield* namesOf(line, stores, true);
  }
}

/** `i/n` of `--shard`: the shards whose position in the list is i - 1 + k · n. `i` is from 1 to n. */
export interface ShardPart {
  readonly index: number;
  readonly of: number;
}

/** @throws QalignError USAGE */
export function parsePart(text: string): ShardPart {
  const [, index, of] = /^(\d+)\/(\d+)$/.exec(text) ?? [];
  const part = { index: Number(index), of: Number(of) };
  if (index !== undefined && part.index >= 1 && part.index <= part.of) return part;
  throw new QalignError(
    'USAGE',
    `--shard must be I/N with I from 1 to N, for example 3/16, not ${text}; schedulers that count from 0 add 1.`,
  );
}

/** The shards of a part, in the order of the list. Their `index` stays that of the whole list. */
export const partOf = (shards: readonly ShardLine[], part: ShardPart | undefined): ShardLine[] =>
  shards.filter(({ index }) => part === undefined || index % part.of === part.index - 1);
