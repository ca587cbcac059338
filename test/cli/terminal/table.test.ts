import { describe, expect, it } from 'vitest';
import { labelled, textTable } from '../../../src/cli/terminal/table.js';

describe('textTable', () => {
  it('aligns the first column to the left and the others to the right', () => {
    expect(
      textTable([
        ['set', 'n', 'srcc'],
        ['koniq', '2010', '0.941'],
      ]),
    ).toEqual(['set       n   srcc', 'koniq  2010  0.941']);
    expect(textTable([])).toEqual([]);
  });
});

describe('labelled', () => {
  it('puts the name before the first line only', () => {
    expect(labelled('nano', 6, ['a', 'b'])).toEqual(['nano   a', '       b']);
    expect(labelled('longer than it', 6, ['a'])).toEqual(['longer than it a']);
    expect(labelled('nano', 6, [])).toEqual([]);
  });
});
