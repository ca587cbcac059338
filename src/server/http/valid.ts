import type { Static, TObject, TSchema } from 'typebox';
import { problemWith } from '../../../bridge/validate.js';
import { QalignError } from '../../base/errors.js';

/** Validates a value. @throws QalignError BODY_INVALID with the location of the first problem */
export function requireValid<S extends TSchema>(schema: S, value: unknown, what: string): Static<S> {
  const problem = problemWith(schema, value);
  if (problem !== undefined)
    throw new QalignError('BODY_INVALID', `The ${what} does not match its schema at ${problem}.`);
  return value as Static<S>;
}

/**
 * Converts the strings of a query or form to the types of the schema: numbers, `true` and `false`, comma-separated
 * lists. Other strings stay strings, which the schema refuses. @throws QalignError BODY_INVALID
 */
export function fromWords<S extends TObject>(
  schema: S,
  words: Readonly<Record<string, unknown>>,
  what: string,
): Static<S> {
  const read = Object.entries(words).map(([key, word]) => [key, fromWord(schema.properties[key], word)]);
  return requireValid(schema, Object.fromEntries(read), what);
}

const NUMBER = /^-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?$/;

function fromWord(schema: TSchema | undefined, word: unknown): unknown {
  const { type, items } = (schema ?? {}) as { readonly type?: string; readonly items?: TSchema };
  if (typeof word !== 'string') return word;
  if (type === 'array') return word.split(',').map((one) => fromWord(items, one.trim()));
  if ((type === 'integer' || type === 'number') && NUMBER.test(word)) return Number(word);
  if (type === 'boolean' && (word === 'true' || word === 'false')) return word === 'true';
  return word;
}
