/** 64 bits, as two words of 32; pictures that look alike have a small Hamming distance. */
export type PerceptualHash = readonly [number, number];

/** How many of the 64 bits differ. */
export function hammingDistance([a, b]: PerceptualHash, [c, d]: PerceptualHash): number {
  return ones(a ^ c) + ones(b ^ d);
}

function ones(word: number): number {
  let n = 0;
  for (let rest = word >>> 0; rest !== 0; rest &= rest - 1) n++;
  return n;
}
