import { describe, expect, it } from 'vitest';
import { hint, nearest } from '../../src/base/suggest.js';

describe('nearest', () => {
  it.each([
    ['tsak', 'task'],
    ['resum', 'resume'],
    ['precison', 'precision'],
    ['Format', 'format'],
  ])('%s → %s', (word, known) => expect(nearest(word, ['task', 'format', 'resume', 'precision', 'out'])).toBe(known));

  it('returns nothing rather than a bad guess', () => {
    expect(nearest('xyzzy', ['task', 'out'])).toBeUndefined();
    expect(hint('xyzzy', ['task', 'out'])).toBe(' (known: task, out)');
  });
});
