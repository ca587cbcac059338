import type { DatasetRecord } from '../../bridge/protocol/record.js';
import { hammingDistance, type PerceptualHash } from '../scoring/perceptual-hash.js';

export const LEAK_KINDS = ['exact', 'perceptual', 'reference', 'base_name'] as const;
/** How two pictures can be the same: equal bytes, similar look, equal reference picture, or equal file name. */
export type LeakKind = (typeof LEAK_KINDS)[number];

/** A record and its side: its split, or its file if the records have no splits. */
export interface LeakItem {
  readonly record: Pick<DatasetRecord, 'id' | 'dataset' | 'media' | 'group'>;
  readonly file: string;
  readonly side: string;
  /** Undefined if the media were not checked or cannot be read. */
  readonly fingerprint: { readonly sha256: string; readonly perceptualHash: PerceptualHash | undefined } | undefined;
}

export interface LeakPlace {
  id: string;
  dataset: string;
  side: string;
  file: string;
  media: string;
}

/** Two records on different sides that have the same or a similar picture, or the same reference. */
export interface Leak {
  kind: LeakKind;
  /** The shared hash, reference or name. */
  key: string;
  /** Hamming distance of the perceptual hashes, 0 to 64. Only for perceptual leaks. */
  distance?: number;
  a: LeakPlace;
  b: LeakPlace;
}

export interface LeakOptions {
  readonly kinds?: readonly LeakKind[] | undefined;
  /** Maximum Hamming distance of the perceptual hashes of equal pictures; default 6. */
  readonly distance?: number | undefined;
}

const MAX_HASH_DISTANCE = 6;

/**
 * Finds all leaks. If many records share a key (the pictures of one reference), each record on another side is paired
 * only with the first of them. So every affected record is listed, without listing all combinations.
 */
export function findLeaks(
  items: readonly LeakItem[],
  { kinds = LEAK_KINDS, distance = MAX_HASH_DISTANCE }: LeakOptions = {},
): Leak[] {
  const exact = sharing(items, 'exact', ({ fingerprint }) => fingerprint?.sha256);
  const known = new Set(exact.map(pairKey));
  const groups = new Map(items.map(({ record, file }) => [`${file}\n${record.id}`, record.group]));
  /** Whether two records of one data set have different references: LIVE repeats the file names in each folder. */
  const knownApart = (a: LeakPlace, b: LeakPlace): boolean => {
    const [one, other] = [a, b].map(({ file, id }) => groups.get(`${file}\n${id}`));
    return a.dataset === b.dataset && one !== undefined && other !== undefined && one !== other;
  };
  const found: Record<LeakKind, () => Leak[]> = {
    exact: () => exact,
    perceptual: () => alike(items, distance).filter((leak) => !known.has(pairKey(leak))),
    reference: () => sharing(items, 'reference', ({ record }) => record.group),
    base_name: () =>
      sharing(items, 'base_name', ({ record }) => stem(record.media)).filter(({ a, b }) => !knownApart(a, b)),
  };
  return LEAK_KINDS.filter((kind) => kinds.includes(kind)).flatMap((kind) => found[kind]());
}

function sharing(items: readonly LeakItem[], kind: LeakKind, keyOf: (item: LeakItem) => string | undefined): Leak[] {
  const byKey = new Map<string, LeakItem[]>();
  for (const item of items) {
    const key = keyOf(item);
    if (key === undefined || key === '') continue;
    const others = byKey.get(key);
    if (others === undefined) byKey.set(key, [item]);
    else others.push(item);
  }
  const leaks: Leak[] = [];
  for (const [key, shared] of byKey) {
    const [first] = shared;
    for (const item of shared)
      if (first !== undefined && item.side !== first.side)
        leaks.push({ kind, key, a: placeOf(first), b: placeOf(item) });
  }
  return leaks;
}

/** Compares all pairs of perceptual hashes; 30 000 against 7 000 take about two seconds. */
function alike(items: readonly LeakItem[], most: number): Leak[] {
  const seen = items.flatMap((item) =>
    item.fingerprint?.perceptualHash === undefined ? [] : [{ item, hash: item.fingerprint.perceptualHash }],
  );
  const leaks: Leak[] = [];
  for (let i = 0; i < seen.length; i++) {
    const a = seen[i]!;
    for (let j = i + 1; j < seen.length; j++) {
      const b = seen[j]!;
      if (a.item.side === b.item.side) continue;
      const distance = hammingDistance(a.hash, b.hash);
      if (distance <= most)
        leaks.push({ kind: 'perceptual', key: hashText(a.hash), distance, a: placeOf(a.item), b: placeOf(b.item) });
    }
  }
  return leaks;
}

function pairKey({ a, b }: Leak): string {
  return JSON.stringify([a.file, a.id, b.file, b.id]);
}

function hashText(hash: PerceptualHash): string {
  return hash.map((word) => word.toString(16).padStart(8, '0')).join('');
}

function placeOf({ record: { id, dataset, media }, side, file }: LeakItem): LeakPlace {
  return { id, dataset, side, file, media };
}

function stem(media: string): string {
  return media
    .replace(/^.*\//, '')
    .replace(/\.[^.]*$/, '')
    .toLowerCase();
}
