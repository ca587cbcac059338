import { describe, expect, it } from 'vitest';
import { wrap } from '../../../src/cli/terminal/fold.js';
import { plain } from '../../../src/cli/terminal/colour.js';
import { fittedTable, labelled, tableFor } from '../../../src/cli/terminal/table.js';

describe('labelled', () => {
  it('puts the name only before the first line', () => {
    expect(labelled('nano', 6, ['a', 'b'])).toEqual(['nano   a', '       b']);
    expect(labelled('longer than it', 6, ['a'])).toEqual(['longer than it a']);
    expect(labelled('nano', 6, [])).toEqual([]);
  });
});

describe('fittedTable', () => {
  const cells = [
    ['run', 'status', 'step', 'loss', 'note'],
    ['koniq', 'completed', '300/300', '0.0757', 'the first that came out as the paper says it does'],
    ['koniq-with-a-long-name', 'stopped', '20/300', '–', 'short'],
  ];

  it('aligns texts to the left and numbers to the right, and wraps the last column', () => {
    expect(fittedTable(cells, 84)).toEqual([
      'run                     status        step    loss  note',
      'koniq                   completed  300/300  0.0757  the first that came out as the',
      '                                                    paper says it does',
      'koniq-with-a-long-name  stopped     20/300       –  short',
    ]);
  });

  it.each([50, 40, 30])('becomes paragraphs in %i columns, and never wraps inside a number', (columns) => {
    const lines = fittedTable(cells, columns);
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(columns);
    expect(lines.slice(0, 4)).toEqual(['koniq', '  status  completed', '  step    300/300', '  loss    0.0757']);
  });

  it('is only a header without rows', () => {
    expect(fittedTable([['run', 'status']], 80)).toEqual(['run  status']);
    expect(fittedTable([], 80)).toEqual([]);
  });

  it('uses tabs if the output is not a terminal', () => {
    const two = cells.map((row) => row.slice(0, 2));
    expect(tableFor({ outIsTerminal: false, columns: Infinity, paint: plain }, two).split('\n')[1]).toBe(
      'koniq\tcompleted',
    );
    expect(tableFor({ outIsTerminal: true, columns: 80, paint: plain }, two).split('\n')[1]).toBe(
      'koniq                   completed',
    );
  });
});

describe('wrap', () => {
  it('breaks between words, and inside words that are too long', () => {
    expect(wrap('one two three', 7)).toEqual(['one two', 'three']);
    expect(wrap('a abcdefghij k', 4)).toEqual(['a', 'abcd', 'efgh', 'ij k']);
    expect(wrap('', 4)).toEqual(['']);
  });
});
