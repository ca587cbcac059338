import { Ajv, type ValidateFunction } from 'ajv';
import type { TSchema } from 'typebox';
import { choicesOf, type ChoiceNode } from './choices.js';
import { SCHEMAS } from './protocol/index.js';
import { QalignError } from './qalign-error.js';
import type { ErrorCode } from './protocol/errors.js';

const ajv = new Ajv({
  allErrors: false,
  strict: true,
  strictTuples: false,
  strictRequired: false,
  allowUnionTypes: true,
  verbose: true,
});
const compiled = new Map<TSchema, ValidateFunction>();

/**
 * Returns the first problem with `value` as `/path: reason`, or undefined if it is valid. Each schema is compiled once.
 */
export function problemWith(schema: TSchema, value: unknown): string | undefined {
  const validate = validatorOf(schema);
  if (validate(value)) return undefined;
  const alternatives = validate.errors?.find(({ keyword }) => keyword === 'oneOf');
  const first = alternatives ?? validate.errors?.[0];
  const place = first?.instancePath === '' ? '/' : first?.instancePath;
  // for alternatives, the description is clearer than the first mismatch
  const rule = (alternatives?.parentSchema as { readonly description?: string } | undefined)?.description;
  if (rule !== undefined) return `${place}: it needs ${rule}`;
  // the branches of a union fail first, each with a part of the truth
  const union = validate.errors?.find(({ keyword }) => keyword === 'anyOf');
  const choices = union === undefined ? [] : choicesOf(union.parentSchema as ChoiceNode);
  if (union !== undefined && union.instancePath === first?.instancePath && choices.length > 0)
    return `${place}: must be one of ${choices.join(', ')}`;
  const detail = Object.entries(first?.params ?? {})
    .map(([key, entry]) => `${key} ${JSON.stringify(entry)}`)
    .join(', ');
  return `${place}: ${first?.message ?? 'does not fit'}${detail === '' ? '' : ` (${detail})`}`;
}

function validatorOf(schema: TSchema): ValidateFunction {
  const known = compiled.get(schema);
  if (known !== undefined) return known;
  const validate = ajv.compile(schema);
  compiled.set(schema, validate);
  return validate;
}

/** Compiles the schemas of messages ahead of their first use. */
export function compileMessages(names: readonly string[]): void {
  for (const name of names) validatorOf(SCHEMAS[name]!);
}

/** Works as `problemWith` for the message `name` of the protocol. */
export function problemWithMessage(name: string, value: unknown): string | undefined {
  const schema = Object.hasOwn(SCHEMAS, name) ? SCHEMAS[name] : undefined;
  return schema === undefined ? `the message "${name}" does not exist` : problemWith(schema, value);
}

/** Throws at the first problem. @throws QalignError with `code`, PROTOCOL_VIOLATION by default */
export function requireMessage(name: string, value: unknown, code: ErrorCode = 'PROTOCOL_VIOLATION'): void {
  const problem = problemWithMessage(name, value);
  if (problem !== undefined) throw new QalignError(code, `${name} does not match its schema at ${problem}.`);
}

/** Returns the schema name of a decoded envelope, or undefined if it is not an envelope. */
export function envelopeName(value: unknown): string | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  if ('type' in value) return typeof value.type === 'string' ? value.type : undefined;
  if ('method' in value) return 'request';
  if ('progress' in value) return 'progress';
  if ('result' in value) return 'result';
  return 'error' in value ? 'failure' : undefined;
}
