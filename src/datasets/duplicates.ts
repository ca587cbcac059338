import { QalignError } from '../base/errors.js';
import { GrowingDoubles } from './growing-doubles.js';
import type { RatingScan } from './rating.js';

/**
 * Finds repeated names with eight bytes of memory per row. It sorts 53-bit hashes of the names. Only if two hashes are
 * equal, a second pass compares the names.
 */
export class DuplicateWatch {
  readonly #hashes = new GrowingDoubles();

  see(name: string): void {
    this.#hashes.push(hashOf(name));
  }

  /** @throws QalignError DATASET_DUPLICATE with the places of both rows */
  async check(scan: RatingScan): Promise<void> {
    const sorted = this.#hashes.view().slice().sort();
    const suspects = new Set<number>();
    for (let i = 1; i < sorted.length; i++) if (sorted[i] === sorted[i - 1]) suspects.add(sorted[i]!);
    if (suspects.size === 0) return;
    const seen = new Map<string, string>();
    for await (const batch of scan()) {
      for (const { name, file, row } of batch) {
        if (!suspects.has(hashOf(name))) continue;
        const first = seen.get(name);
        if (first !== undefined)
          throw new QalignError(
            'DATASET_DUPLICATE',
            `${file}:${row}: ${name} is rated twice (first at ${first}); remove one of the rows.`,
          );
        seen.set(name, `${file}:${row}`);
      }
    }
  }
}

/** Combines two multiplicative 32-bit hashes to 53 bits. */
function hashOf(name: string): number {
  let a = 0x811c9dc5;
  let b = 0x9e3779b9;
  for (let i = 0; i < name.length; i++) {
    const code = name.charCodeAt(i);
    a = Math.imul(a ^ code, 0x01000193);
    b = Math.imul(b + code, 0x85ebca6b);
    b ^= b >>> 13;
  }
  return (a >>> 0) * 2 ** 21 + (b >>> 11);
}
