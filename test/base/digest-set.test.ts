import { expect, it } from 'vitest';
import { DigestSet } from '../../src/base/digest-set.js';

it('knows every added text while it grows', () => {
  const set = new DigestSet();
  const texts = Array.from({ length: 20_000 }, (_, i) => `folder/${i}.jpg`);
  expect(texts.every((text) => set.add(text))).toBe(true);
  expect(texts.some((text) => set.add(text))).toBe(false);
  expect(set.size).toBe(20_000);
  expect(set.add('folder/20000.jpg')).toBe(true);
});

it('distinguishes bytes that are not text', () => {
  const set = new DigestSet();
  expect([0xe9, 0xea, 0xe9].map((byte) => set.add(Buffer.from([byte])))).toEqual([true, true, false]);
});
