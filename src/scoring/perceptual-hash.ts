/** 64 bits, as two words of 32, that are alike for pictures that look alike. */
export type Look = readonly [number, number];

/** How many of the 64 bits differ. */
export function lookDistance([a, b]: Look, [c, d]: Look): number {
  return ones(a ^ c) + ones(b ^ d);
}

function ones(word: number): number {
  let n = 0;
  for (let rest = word >>> 0; rest !== 0; rest &= rest - 1) n++;
  return n;
}
