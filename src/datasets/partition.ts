import type { DatasetRecord } from '../../bridge/protocol/record.js';
import { QalignError } from '../base/errors.js';
import { mulberry32, shuffled } from '../base/random.js';

/** The size of a part: a share between 0 and 1, a whole number of records, or the rest. */
export type PartSize = number | 'rest';

type Item = Pick<DatasetRecord, 'id' | 'level' | 'group'>;

/**
 * Largest remainder method: whole numbers in proportion to `shares` that add up to `total`. Ties go to the earlier
 * share.
 */
export function apportion(shares: readonly number[], total: number): number[] {
  const sum = shares.reduce((a, b) => a + b, 0);
  const exact = shares.map((share) => (sum === 0 ? 0 : (share / sum) * total));
  const counts = exact.map((value) => Math.floor(value + 1e-9));
  const order = exact
    .map((value, index) => ({ index, left: value - counts[index]! }))
    .sort((a, b) => b.left - a.left || a.index - b.index);
  let missing = total - counts.reduce((a, b) => a + b, 0);
  for (const { index } of order) if (missing-- > 0) counts[index]!++;
  return counts;
}

/**
 * Draws `count` positions at random, with a seed, in the order of the records. With `stratify`, levels keep their
 * proportions.
 */
export function samplePositions(
  records: readonly Item[],
  count: number,
  { seed, stratify }: { seed: number; stratify: boolean },
): number[] {
  const strata = strataOf(records, stratify);
  const random = mulberry32(seed);
  const takes = apportion(
    strata.map((positions) => positions.length),
    count,
  );
  return strata.flatMap((positions, index) => shuffled(positions, random).slice(0, takes[index])).sort((a, b) => a - b);
}

/**
 * Assigns a part to every record at random, with a seed. Levels keep their proportions. If records have a group (the
 * reference image of a synthetic set), whole groups are assigned, and sizes are of groups.
 * @throws QalignError USAGE if the sizes do not add up, DATASET_VALUE if only some records have a group
 */
export function partition(records: readonly Item[], parts: Readonly<Record<string, PartSize>>, seed: number): string[] {
  const grouped = records.filter(({ group }) => group !== undefined).length;
  if (grouped > 0 && grouped < records.length)
    throw new QalignError(
      'DATASET_VALUE',
      `Only ${grouped} of ${records.length} records have a reference image (group); set it for all records or for none.`,
    );
  return grouped > 0 ? byGroup(records, parts, seed) : byLevel(records, parts, seed);
}

function byLevel(records: readonly Item[], parts: Readonly<Record<string, PartSize>>, seed: number): string[] {
  const names = Object.keys(parts);
  const sizes = sizesOf(parts, records.length, 'records');
  const random = mulberry32(seed);
  const result = new Array<string>(records.length).fill('');
  const left = [...sizes];
  const strata = strataOf(records, true).sort((a, b) => a.length - b.length || a[0]! - b[0]!);
  strata.forEach((positions, index) => {
    // the last stratum takes the remaining sizes, so that they are exact
    const counts = index === strata.length - 1 ? left : apportion(left, positions.length);
    let at = 0;
    const deck = shuffled(positions, random);
    names.forEach((name, part) => {
      for (const position of deck.slice(at, at + counts[part]!)) result[position] = name;
      at += counts[part]!;
    });
    counts.forEach((count, part) => (left[part] = index === strata.length - 1 ? 0 : left[part]! - count));
  });
  return result;
}

function byGroup(records: readonly Item[], parts: Readonly<Record<string, PartSize>>, seed: number): string[] {
  const groups = [...new Set(records.map(({ group }) => group))].sort();
  const sizes = sizesOf(parts, groups.length, 'reference images');
  const deck = shuffled(groups, mulberry32(seed));
  const owner = new Map<string | undefined, string>();
  Object.keys(parts).forEach((name, part) => {
    for (const group of deck.splice(0, sizes[part])) owner.set(group, name);
  });
  return records.map(({ group }) => owner.get(group)!);
}

function sizesOf(parts: Readonly<Record<string, PartSize>>, total: number, what: string): number[] {
  const sizes = Object.values(parts);
  const counts = sizes.map((size) => (size === 'rest' ? undefined : size >= 1 ? size : size * total));
  const fixed = counts.reduce<number>((sum, count) => sum + (count ?? 0), 0);
  const rest = sizes.filter((size) => size === 'rest').length;
  const shares = sizes.every((size) => size !== 'rest' && size < 1);
  if (rest > 1) throw new QalignError('USAGE', 'More than one part is "rest"; give the sizes of the others.');
  if (rest === 0 && Math.abs(fixed - total) > 1e-6 * total)
    throw new QalignError(
      'USAGE',
      `The parts add up to ${shares ? Number((fixed / total).toFixed(6)) : fixed} of the ${total} ${what}; change the sizes, or set the last one to "rest".`,
    );
  if (fixed > total * (1 + 1e-6))
    throw new QalignError('USAGE', `The parts need ${fixed} ${what}, but there are only ${total}; reduce their sizes.`);
  const whole = apportion(
    counts.map((count) => count ?? Math.max(0, total - fixed)),
    total,
  );
  const empty = Object.keys(parts).find((_, index) => whole[index] === 0);
  if (empty !== undefined)
    throw new QalignError(
      'USAGE',
      `The part ${empty} would be empty, because there are only ${total} ${what}; increase its size.`,
    );
  return whole;
}

function strataOf(records: readonly Item[], stratify: boolean): number[][] {
  const strata = new Map<string, number[]>();
  records.forEach(({ level = '' }, position) => {
    const key = stratify ? level : '';
    const positions = strata.get(key);
    if (positions === undefined) strata.set(key, [position]);
    else positions.push(position);
  });
  return [...strata.values()];
}
