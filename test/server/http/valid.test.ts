import Type from 'typebox';
import { describe, expect, it } from 'vitest';
import { QalignError } from '../../../src/base/errors.js';
import { fromWords, requireValid } from '../../../src/server/http/valid.js';

const Query = Type.Object(
  {
    tasks: Type.Optional(Type.Array(Type.Enum(['quality', 'aesthetics']))),
    limit: Type.Optional(Type.Integer({ minimum: 1 })),
    whole: Type.Optional(Type.Boolean()),
    name: Type.Optional(Type.String()),
  },
  { additionalProperties: false },
);
const failure = (work: () => unknown): QalignError => {
  try {
    work();
  } catch (error) {
    return error as QalignError;
  }
  return expect.fail('it was valid');
};

describe('values of a query or form', () => {
  it('become numbers, booleans and lists if the schema requires them', () => {
    expect(fromWords(Query, { tasks: 'quality, aesthetics', limit: '7', whole: 'true', name: '7' }, 'query')).toEqual({
      tasks: ['quality', 'aesthetics'],
      limit: 7,
      whole: true,
      name: '7',
    });
    expect(fromWords(Query, { name: 'a,b' }, 'query')).toEqual({ name: 'a,b' });
    expect(fromWords(Query, {}, 'query')).toEqual({});
  });

  it.each([
    [{ limit: '0' }],
    [{ limit: 'many' }],
    [{ tasks: 'beauty' }],
    [{ tasks: '' }],
    [{ other: '1' }],
    [{ limit: 'true' }],
    [{ limit: '' }],
    [{ limit: '0x10' }],
    [{ limit: ['1', '2'] }],
    [{ whole: '1' }],
    [{ whole: '' }],
  ])('are refused where they do not fit: %j', (words) => {
    const error = failure(() => fromWords(Query, words, 'form'));
    expect([error instanceof QalignError, error.code]).toEqual([true, 'BODY_INVALID']);
    expect(error.message).toMatch(/^The form does not match its schema at \S/);
  });
});

it('returns a valid value unchanged, and names the position of an error', () => {
  const value = { limit: 3 };
  expect(requireValid(Query, value, 'body')).toBe(value);
  expect(failure(() => requireValid(Query, { limit: '3' }, 'body')).message).toMatch(/limit/);
});
