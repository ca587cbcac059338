import { basename } from 'node:path';
import { QalignError } from '../../base/errors.js';
import type { Reach } from '../../base/files/reach.js';
import type { RatingScan } from '../rating.js';
import { readJsonTable } from './json.js';
import { readLines } from './text.js';

/**
 * Assigns ratings to splits by published lists of names. A list has one name per line, or is JSON with `image`,
 * `img_path` or `media`.
 */
export interface SplitLists {
  /**
   * The ratings with their splits. Names in no list get the split `train`, or `rest` if there is a list for `train`.
   */
  readonly scan: RatingScan;
  /**
   * Call it after a scan.
   * @throws QalignError DATASET_VALUE if a needed list matched no rating
   */
  readonly check: () => void;
}

/**
 * @param lists split → path of its list
 * @param needed splits whose lists must match at least one rating
 * @param within allowed location of the opened lists; default: anywhere
 */
export async function applySplitLists(
  scan: RatingScan,
  lists: Readonly<Record<string, string>>,
  needed: readonly string[],
  within?: Reach,
): Promise<SplitLists> {
  const owners = new Map<string, string>();
  const hits = new Map<string, number>();
  for (const [split, path] of Object.entries(lists)) {
    hits.set(split, 0);
    for (const name of await namesIn(path, within)) claim(owners, name, split, path);
  }
  const others = 'train' in lists ? 'rest' : 'train';
  return {
    async *scan() {
      for await (const batch of scan()) {
        yield batch.map((rating) => {
          const split = owners.get(bare(rating.name)) || others;
          if (hits.has(split)) hits.set(split, hits.get(split)! + 1);
          return { ...rating, split };
        });
      }
    },
    check() {
      for (const split of needed)
        if (hits.get(split) === 0)
          throw new QalignError(
            'DATASET_VALUE',
            `${basename(lists[split] ?? '')} matches no rated item; check that it is the list of this data set.`,
          );
    },
  };
}

/** Marks a base name that the lists of two splits have in different folders. */
const AMBIGUOUS = '';

const bare = (name: string): string => name.replaceAll('\\', '/').replace(/\.[A-Za-z]\w{1,4}$/, '');

/** All endings of a path (a/b/c.jpg → a/b/c, b/c, c), because label files and lists can use different base folders. */
function tailsOf(name: string): string[] {
  const parts = bare(name).split('/');
  return parts.map((_, at) => parts.slice(at).join('/'));
}

function claim(owners: Map<string, string>, name: string, split: string, path: string): void {
  for (const [at, tail] of tailsOf(name).entries()) {
    const other = owners.get(tail);
    if (at === 0 && other !== undefined && other !== split && other !== AMBIGUOUS)
      throw new QalignError(
        'DATASET_DUPLICATE',
        `${basename(path)}: ${name} is also in the list of ${other}; remove it from one of the lists.`,
      );
    owners.set(tail, at > 0 && other !== undefined && other !== split ? AMBIGUOUS : split);
  }
}

/**
 * The first cell of a line. A name can contain spaces: it ends with its extension, or without one at the first space or
 * comma.
 */
function firstCell(line: string): string {
  return /^\s*(.+?\.[A-Za-z]\w{1,4})(?=[\s,;]|$)/.exec(line)?.[1] ?? line.trim().split(/[\s,;]+/)[0] ?? '';
}

async function namesIn(path: string, within: Reach | undefined): Promise<string[]> {
  const names: string[] = [];
  if (/\.jsonl?$/i.test(path)) {
    const table = await readJsonTable(path, {}, within);
    const column = ['image', 'img_path', 'media']
      .map((name) => table.header?.indexOf(name) ?? -1)
      .find((index) => index >= 0);
    if (column === undefined)
      throw new QalignError(
        'DATASET_COLUMNS',
        `${basename(path)}: the objects of a split list need the key "image", "img_path" or "media"; their keys are ${table.header?.join(', ') ?? 'none'}.`,
      );
    for await (const rows of table.rows()) names.push(...rows.map((row) => row.cells[column] ?? ''));
  } else {
    for await (const { lines } of readLines(path, within)) names.push(...lines.map(firstCell));
  }
  const found = names.filter((name) => name !== '');
  if (found.length === 0)
    throw new QalignError('DATASET_EMPTY', `${basename(path)} has no names; write one name per line.`);
  return found;
}
