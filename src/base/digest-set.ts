import { createHash } from 'node:crypto';

/**
 * A set of texts that keeps 128 bits of a hash of each: about 30 bytes a text, however long. Among a billion texts the
 * chance that two are taken for one is 1e-21.
 */
export class DigestSet {
  /** Four words for each place; a place of zeros is free. */
  #words = new Uint32Array(4 * 1024);
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** Whether `text` was not in the set; it is from now on. */
  add(text: string | Buffer): boolean {
    const digest = createHash('sha256').update(text).digest();
    const words = Uint32Array.from({ length: 4 }, (_, at) => digest.readUInt32LE(4 * at));
    words[3]! |= 1; // never all zero
    if (!place(this.#words, words)) return false;
    this.#size++;
    if (this.#size * 4 * 4 > this.#words.length * 3) this.#grow();
    return true;
  }

  #grow(): void {
    const larger = new Uint32Array(this.#words.length * 2);
    for (let at = 0; at < this.#words.length; at += 4)
      if (this.#words[at + 3] !== 0) place(larger, this.#words.subarray(at, at + 4));
    this.#words = larger;
  }
}

/** Puts four words into the table; false where they are there already. */
function place(table: Uint32Array, words: Uint32Array): boolean {
  const places = table.length / 4;
  for (let at = words[0]! % places; ; at = (at + 1) % places) {
    const there = table.subarray(4 * at, 4 * at + 4);
    if (there[3] === 0) {
      there.set(words);
      return true;
    }
    if (there.every((word, i) => word === words[i])) return false;
  }
}
