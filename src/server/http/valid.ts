import type { Static, TObject, TSchema } from 'typebox';
import { Convert } from 'typebox/value';
import { problemWith } from '../../../bridge/validate.js';
import { QalignError } from '../../base/errors.js';

/** Throws BODY_INVALID with the place of the first problem. */
export function requireValid<S extends TSchema>(schema: S, value: unknown, what: string): Static<S> {
  const problem = problemWith(schema, value);
  if (problem !== undefined)
    throw new QalignError('BODY_INVALID', `The ${what} does not match its schema at ${problem}.`);
  return value as Static<S>;
}

/** Words of a query or form → what the schema asks for: numbers, booleans, lists divided by commas. */
export function fromWords<S extends TObject>(
  schema: S,
  words: Readonly<Record<string, unknown>>,
  what: string,
): Static<S> {
  const lists = Object.entries(schema.properties)
    .filter(([, property]) => (property as { type?: string }).type === 'array')
    .map(([key]) => key);
  const split = Object.fromEntries(
    Object.entries(words).map(([key, value]) => [
      key,
      lists.includes(key) && typeof value === 'string' ? value.split(',').map((word) => word.trim()) : value,
    ]),
  );
  return requireValid(schema, Convert(schema, split), what);
}
