import { QalignError } from '../base/errors.js';
import { GrowingDoubles } from './growing-doubles.js';
import type { RatingScan } from './rating.js';

/**
 * Finds names that come twice while holding eight bytes a row: 53 bits of a hash of each name are kept and sorted; only
 * where two are equal are the names themselves looked at, in another pass.
 */
export class DuplicateWatch {
  readonly #hashes = new GrowingDoubles();

  see(name: string): void {
    this.#hashes.push(hashOf(name));
  }

  /** @throws QalignError DATASET_DUPLICATE with both places */
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
            `${file}:${row}: ${name} is rated a second time; the first is ${first}. Remove one of the rows.`,
          );
        seen.set(name, `${file}:${row}`);
      }
    }
  }
}

/** Two multiplicative hashes of 32 bits, put together to 53. */
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
