import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { globMatcher, isGlob, literalsEscaped } from '../../../src/media/find/glob-pattern.js';
import { createNameFilter } from '../../../src/media/find/name-filter.js';
import { expandSources } from '../../../src/media/sources.js';

const folder = mkdtempSync(join(tmpdir(), 'glob-'));
afterAll(() => rmSync(folder, { recursive: true }));

// each result is from bash: [[ $name == $pattern ]] with extglob
const MATCHES: readonly (readonly [string, string])[] = [
  ['* (1).jpg', 'photo (1).jpg'],
  ['photo (?)*', 'photo (2).jpg'],
  ['[!a].jpg', 'b.jpg'],
  ['[^a].jpg', 'b.jpg'],
  ['[[:digit:]].jpg', '7.jpg'],
  ['*.jpg', '\n.jpg'],
  ['*.jpg', 'two\nlines.jpg'],
  ['"a"*', '"a" b.jpg'],
  ['a|b*', 'a|b.jpg'],
  ['$1+2^?', '$1+2^3'],
  ['[a*', '[a.jpg'],
  ['+(ab)c', 'ababc'],
  ['@(a|b).jpg', 'b.jpg'],
  ['a\\(b*', 'a(b.jpg'],
  ['[(]x*', '(x.jpg'],
];
const DIFFERS: readonly (readonly [string, string])[] = [
  ['* (1).jpg', 'photo 1.jpg'],
  ['[!a].jpg', 'a.jpg'],
  ['a|b*', 'a'],
  ['a"b"?', 'ab1'],
  ['!(a).jpg', 'a.jpg'],
];

describe('globs', () => {
  it.each(MATCHES)('%j matches %j', (pattern, name) => {
    expect(globMatcher(pattern, { dot: true })(name)).toBe(true);
  });

  it.each(DIFFERS)('%j does not match %j', (pattern, name) => {
    expect(globMatcher(pattern, { dot: true })(name)).toBe(false);
  });

  it.each([...MATCHES, ...DIFFERS])('%j is escaped once', (pattern) => {
    expect(literalsEscaped(literalsEscaped(pattern))).toBe(literalsEscaped(pattern));
  });

  it('line breaks in folder names match', () => {
    expect(createNameFilter(['**/*.jpg']).excludesFile('two\nlines/a.jpg')).toBe(false);
    expect(createNameFilter([], ['**/thumbs']).excludesFolder('two\nlines/thumbs')).toBe(true);
  });

  it('a name that only has parentheses is not a pattern', () => {
    expect(['photo (1).jpg', 'a+b', '[a', 'a|b'].map(isGlob)).toEqual([false, false, false, false]);
    expect(['photo (1)*', '@(a|b)', '[ab]', '{a,b}'].map(isGlob)).toEqual([true, true, true, true]);
  });

  it('a pattern enters a folder with parentheses', async () => {
    const inner = join(folder, 'Holiday (2)', 'a');
    mkdirSync(inner, { recursive: true });
    writeFileSync(join(inner, 'x.ppm'), 'P6 1 1 255\nabc');
    const found: string[] = [];
    for await (const { input, error } of expandSources([
      join(folder, 'Holiday (2)/*/*.ppm'),
      join(folder, '* (2)/a/*'),
    ]))
      found.push(error === undefined ? input : error.message);
    expect(found).toEqual([join(inner, 'x.ppm'), join(inner, 'x.ppm')]);
  });
});
