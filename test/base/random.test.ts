import { describe, expect, it } from 'vitest';
import { congruentialBytes, mulberry32, placeHash, sfc32, shuffled } from '../../src/base/random.js';

const take = (next: () => number, count = 4): number[] => Array.from({ length: count }, next);

describe('the seeded generators give the recorded sequences', () => {
  it.each([
    [0, [0.26642920868471265, 0.0003297457005828619, 0.2232720274478197, 0.1462021479383111]],
    [42, [0.6011037519201636, 0.44829055899754167, 0.8524657934904099, 0.6697340414393693]],
    [-7, [0.43306733411736786, 0.32539576734416187, 0.5442695003002882, 0.48018999374471605]],
    [2 ** 32 + 5, [0.6897749109193683, 0.7727432732935995, 0.21976301027461886, 0.6231788222212344]],
    [4294967295, [0.8964226141106337, 0.189478256739676, 0.7156526781618595, 0.9440599093213677]],
  ])('mulberry32(%d)', (seed, values) => {
    expect(take(mulberry32(seed))).toEqual(values);
  });

  it.each([
    [0, [2899526011, 769844623, 220372281, 4270301181]],
    [1, [2420951833, 2513034076, 3847892949, 4064752930]],
    [24301, [2158413224, 3458758920, 14202767, 1638585020]],
  ])('sfc32(%d)', (seed, values) => {
    expect(take(sfc32(seed))).toEqual(values);
  });

  it('congruentialBytes', () => {
    expect(take(congruentialBytes(12345), 8)).toEqual([5, 4, 139, 162, 232, 28, 126, 140]);
  });

  it.each([
    [0, 0, 1364076727],
    [0, 1, 821347078],
    [7, 3, 1833891671],
    [123456789, 99, 1340921084],
    [4294967295, 4294967295, 2457731994],
  ])('placeHash(%d, %d)', (seed, place, value) => {
    expect(placeHash(seed, place)).toBe(value);
  });
});

describe('shuffled', () => {
  it('returns the recorded order and does not change its input', () => {
    const items = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9];
    expect(shuffled(items, mulberry32(3))).toEqual([9, 5, 6, 1, 2, 4, 8, 3, 0, 7]);
    expect(items).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  });

  it('returns empty and single-item lists unchanged', () => {
    expect(shuffled([], mulberry32(1))).toEqual([]);
    expect(shuffled(['a'], mulberry32(1))).toEqual(['a']);
  });
});
