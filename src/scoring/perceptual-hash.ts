/** A hash of 64 bits, as two 32-bit words. Similar pictures have a small Hamming distance. */
export type PerceptualHash = readonly [number, number];

/** The number of bits that differ, 0 to 64. */
export function hammingDistance([a, b]: PerceptualHash, [c, d]: PerceptualHash): number {
  return ones(a ^ c) + ones(b ^ d);
}

function ones(word: number): number {
  let n = 0;
  for (let rest = word >>> 0; rest !== 0; rest &= rest - 1) n++;
  return n;
}
