import { QalignError } from '../../base/errors.js';

/** Largest number of names of one pattern. */
const MOST = 1_000_000;

/**
 * Expands braces as bash does: `{000..099}` to numbers with the same number of digits, and `{a,b}` to alternatives.
 * Braces can follow each other and nest. Braces with neither `,` nor `..` stay as they are.
 *
 * @throws QalignError USAGE for more than a million names
 */
export function expandBraces(pattern: string): string[] {
  const open = findBraces(pattern);
  if (open === undefined) return [pattern];
  const [from, to] = open;
  const [before, inner, after] = [pattern.slice(0, from), pattern.slice(from + 1, to), pattern.slice(to + 1)];
  const rest = expandBraces(after);
  const middle = rangeOf(inner, pattern) ?? alternativesOf(inner).flatMap(expandBraces);
  if (middle.length * rest.length > MOST) throw tooMany(pattern);
  return middle.flatMap((one) => rest.map((end) => `${before}${one}${end}`));
}

function tooMany(pattern: string): QalignError {
  return new QalignError(
    'USAGE',
    `${pattern} stands for more than ${MOST} names; use several patterns or a list file.`,
  );
}

/** The first braces that can be expanded, as the positions of `{` and `}`. */
function findBraces(pattern: string): readonly [number, number] | undefined {
  for (let from = pattern.indexOf('{'); from >= 0; from = pattern.indexOf('{', from + 1)) {
    let depth = 0;
    for (let at = from; at < pattern.length; at++) {
      if (pattern[at] === '{') depth++;
      if (pattern[at] === '}' && --depth === 0) {
        const inner = pattern.slice(from + 1, at);
        if (RANGE.test(inner) || alternativesOf(inner).length > 1) return [from, at];
        break;
      }
    }
  }
  return undefined;
}

const RANGE = /^(\d+)\.\.(\d+)(?:\.\.([1-9]\d*))?$/;

/** The numbers of `inner`; undefined if it is not a range. */
function rangeOf(inner: string, pattern: string): string[] | undefined {
  const [, first = '', last = '', by = '1'] = RANGE.exec(inner) ?? [];
  if (first === '') return undefined;
  const [start, end, step] = [Number(first), Number(last), Number(by)];
  const isPadded = [first, last].some((text) => text.length > 1 && text.startsWith('0'));
  const width = isPadded ? Math.max(first.length, last.length) : 0;
  const count = Math.floor(Math.abs(end - start) / step) + 1;
  if (count > MOST) throw tooMany(pattern);
  const sign = start <= end ? 1 : -1;
  return Array.from({ length: count }, (_, at) => String(start + sign * step * at).padStart(width, '0'));
}

/** Parts between commas that are not inside inner braces. */
function alternativesOf(inner: string): string[] {
  const parts = [''];
  let depth = 0;
  for (const character of inner) {
    if (character === '{') depth++;
    if (character === '}') depth--;
    if (character === ',' && depth === 0) parts.push('');
    else parts[parts.length - 1] += character;
  }
  return parts;
}
