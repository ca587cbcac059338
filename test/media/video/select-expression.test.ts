import fc from 'fast-check';
import { expect, it } from 'vitest';
import { isOneOf, printedKey, selectFilter } from '../../../src/media/video/select-expression.js';

/** ffmpeg's expression, by the same functions in JavaScript. */
function evaluate(expression: string, pts: number): boolean {
  const body = expression.replaceAll('if(', 'choose(');
  // eslint-disable-next-line @typescript-eslint/no-implied-eval -- the expression is made of numbers and four names
  const run = new Function('pts', 'choose', 'lt', 'eq', `return ${body}`) as (...names: unknown[]) => unknown;
  const choose = (condition: boolean, yes: boolean, no: boolean): boolean => (condition ? yes : no);
  return (
    run(
      pts,
      choose,
      (a: number, b: number) => a < b,
      (a: number, b: number) => a === b,
    ) === true
  );
}

it('is true only for the wanted stamps', () => {
  const stamps = fc.uniqueArray(fc.integer({ min: -1000, max: 1000 }), { minLength: 1, maxLength: 60 });
  fc.assert(
    fc.property(stamps, fc.integer({ min: -1001, max: 1001 }), (wanted, other) => {
      const expression = isOneOf(
        'pts',
        [...wanted].sort((a, b) => a - b),
      );
      expect(wanted.every((stamp) => evaluate(expression, stamp))).toBe(true);
      expect(evaluate(expression, other)).toBe(wanted.includes(other));
    }),
  );
});

it('nests with the logarithm of the count, because ffmpeg allows 100 levels', () => {
  const filter = selectFilter(
    'pts',
    Array.from({ length: 36_000 }, (_, i) => 90_000 * i),
  );
  let [depth, deepest] = [0, 0];
  for (const sign of filter) {
    if (sign === '(') deepest = Math.max(deepest, ++depth);
    if (sign === ')') depth -= 1;
  }
  expect(deepest).toBeLessThan(20);
});

it('reads the stamps that ffmpeg prints, with and without a prefix', () => {
  expect(printedKey('[warning] 1024.000000')).toBe(1024);
  expect(printedKey('[Eval @ 0x7ffd0] [warning] -33.000000')).toBe(-33);
  expect(printedKey('[warning] nan')).toBeNaN();
  expect(printedKey('[h264 @ 0x1] [error] error while decoding MB 0 0, bytestream -26')).toBeUndefined();
});
