import { describe, expect, it } from 'vitest';
import { faultsIn, textFiles } from './files.js';

describe('documents in plain English', () => {
  it.each(textFiles().filter((file) => file.endsWith('.md')))('%s', (file) => {
    expect(faultsIn(file)).toEqual([]);
  });
});
