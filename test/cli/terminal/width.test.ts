import { describe, expect, it } from 'vitest';
import { coloured } from '../../../src/cli/terminal/colour.js';
import { foldLine, foldWords } from '../../../src/cli/terminal/fold.js';
import { cutEnd, cutStart, padEnd, padStart, startOf, widthOf } from '../../../src/cli/terminal/width.js';

describe('widthOf', () => {
  it.each([
    ['abc', 3],
    ['写真', 4],
    ['ｱ한', 3],
    ['😀⭐', 4],
    ['e\u0301', 1],
    ['\u200b\ufeff', 0],
    ['–…█░✓', 5],
    ['', 0],
  ])('%j takes %i cells', (text, width) => expect(widthOf(text)).toBe(width));

  it('does not count styles', () => expect(widthOf(coloured('bad', '写真'))).toBe(4));
});

describe('texts in cells', () => {
  it('are padded and cut by cells, never inside a character', () => {
    expect([padEnd('写', 4), padStart('写', 4)]).toEqual(['写  ', '  写']);
    expect([startOf('写真x', 3), startOf('e\u0301x', 1)]).toEqual(['写', 'e\u0301']);
    expect([cutEnd('abcdef', 4), cutEnd('abcd', 4), cutEnd('写真写', 4)]).toEqual(['abc…', 'abcd', '写…']);
    expect([cutStart('abcdef', 4), cutStart('abcd', 4), cutStart('写真写', 4)]).toEqual(['…def', 'abcd', '…写']);
    expect(cutStart('ae\u0301b', 2)).toBe('…b');
  });
});

describe('folding', () => {
  it('breaks between words and keeps a path on one line', () => {
    expect(foldWords('see /a/long/path/of/it now', 10)).toBe('see\n/a/long/path/of/it\nnow');
    expect(foldWords('a\nb c', 80)).toBe('a\nb c');
  });

  it('keeps a command line that can be copied', () => {
    expect(foldLine('  pip download -d data name', 20)).toEqual(['  pip download \\', '    -d data name']);
    expect(foldLine('  qalign dataset convert koniq10k --out data', 28)).toEqual([
      '  qalign dataset convert \\',
      '    koniq10k --out data',
    ]);
    expect(foldLine('  one two three', 10)).toEqual(['  one two', '  three']);
  });
});
