import { describe, expect, it } from 'vitest';
import { hammingDistance } from '../../src/scoring/perceptual-hash.js';

describe('hammingDistance', () => {
  it.each([
    [[0, 0], [0, 0], 0],
    [[0b101, 0], [0, 1], 3],
    [[0xffffffff, 0xffffffff], [0, 0], 64],
    [[0x80000000, 0], [0, 0], 1],
  ] as const)('of %j and %j is %d bits', (a, b, bits) => {
    expect(hammingDistance(a, b)).toBe(bits);
    expect(hammingDistance(b, a)).toBe(bits);
  });
});
