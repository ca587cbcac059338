import { createHash } from 'node:crypto';

/**
 * A set of strings that stores a 128-bit hash of each: about 30 bytes per string of any length. Among a billion
 * strings, the chance of a collision is 1e-21.
 */
export class DigestSet {
  /** Four 32-bit words per slot. A slot of zeros is free. */
  #words = new Uint32Array(4 * 1024);
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** Adds `text`. Returns false if it was already in the set. */
  add(text: string | Buffer): boolean {
    const digest = createHash('sha256').update(text).digest();
    const words = Uint32Array.from({ length: 4 }, (_, at) => digest.readUInt32LE(4 * at));
    words[3]! |= 1; // a used slot is never all zero
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

/** Inserts four words into the table. Returns false if they are already in it. */
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
