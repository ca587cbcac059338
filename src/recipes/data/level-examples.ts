import { existsSync } from 'node:fs';
import type { LevelExample } from '../../report/dataset-page.js';
import { thumbnail } from '../../media/thumbnail.js';

/** A record whose picture can be shown in the report. */
export interface ExampleRecord {
  readonly id: string;
  readonly path: string;
  readonly mos: number;
  readonly mos_std?: number | undefined;
}

const SHOWN = 10;
/** Number of candidates per level that are looked up on disk. More would take long if most files are missing. */
const LOOKED_FOR = 200;
const SIDE = 112;

/** Thumbnails of each level, evenly spaced over its scores, lowest first. Missing or damaged pictures are left out. */
export async function levelExamples(
  records: Readonly<Record<string, readonly ExampleRecord[]>>,
  signal?: AbortSignal,
): Promise<Record<string, LevelExample[]>> {
  const found: Record<string, LevelExample[]> = {};
  for (const [level, members] of Object.entries(records)) {
    const sorted = members.toSorted((a, b) => a.mos - b.mos);
    const there = evenly(sorted, LOOKED_FOR).filter(({ path }) => existsSync(path));
    found[level] = [];
    for (const { path, ...rest } of evenly(there, SHOWN)) {
      signal?.throwIfAborted();
      const image = await thumbnail(path, SIDE).catch(() => undefined);
      if (image !== undefined) found[level].push({ ...rest, image });
    }
  }
  return found;
}

/** Picks `count` evenly spaced items, including the first and the last. */
export function evenly<T>(items: readonly T[], count: number): T[] {
  if (items.length <= count) return [...items];
  return Array.from({ length: count }, (_, i) => items[Math.round((i * (items.length - 1)) / (count - 1))]!);
}
