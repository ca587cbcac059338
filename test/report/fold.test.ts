import { describe, expect, it } from 'vitest';
import { foldRepetition } from '../../src/report/fold.js';

describe('foldRepetition', () => {
  it.each([
    ['good '.repeat(48), 'good good good good good … 43 more times'],
    [`fair ${'good '.repeat(47)}good`, 'fair good good good good good … 43 more times'],
    ['good'.repeat(20), 'goodgoodgoodgoodgood … 15 more times'],
    ['the image is '.repeat(16), 'the image is … 15 more times'],
    [`${'ab '.repeat(10)}end.`, 'ab ab ab ab ab … 5 more times end.'],
  ])('folds %s', (text, folded) => expect(foldRepetition(text)).toBe(folded));

  it.each(['The quality of the image is good.', 'no no no no', '', 'a\nb'])('leaves %s', (text) =>
    expect(foldRepetition(text)).toBe(text),
  );
});
