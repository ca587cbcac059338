import { PROTOCOL_VERSION } from './protocol/envelope.js';
import { ERROR_CODES } from './protocol/errors.js';
import { METHODS, SCHEMAS } from './protocol/index.js';
import { LEVELS, LEVEL_VALUES } from './protocol/levels.js';

interface JsonSchema {
  type?: string;
  const?: unknown;
  enum?: unknown[];
  anyOf?: JsonSchema[];
  /** A list of schemas is a tuple. */
  items?: JsonSchema | JsonSchema[];
  properties?: Record<string, JsonSchema>;
  required?: string[];
  patternProperties?: Record<string, JsonSchema>;
}

const camel = (name: string): string =>
  name
    .split('_')
    .map((part) => part.charAt(0).toUpperCase() + part.slice(1))
    .join('');
const literal = (value: unknown): string =>
  typeof value === 'boolean' ? (value ? 'True' : 'False') : JSON.stringify(value);

/**
 * Generates python/qalign/protocol.py: TypedDicts of all messages and files, the methods, the levels, the error
 * registry.
 */
export function pythonSource(): string {
  const classes: string[] = [];
  for (const [name, schema] of Object.entries(SCHEMAS))
    typeOf(JSON.parse(JSON.stringify(schema)) as JsonSchema, camel(name), classes);
  const errors = Object.entries(ERROR_CODES).map(
    ([code, { family, httpStatus, retryable, sentence }]) =>
      `    ${literal(code)}: ErrorRow(${literal(family)}, ${httpStatus}, ${retryable ? 'True' : 'False'}, ${literal(sentence)}),`,
  );
  return `"""GENERATED from bridge/protocol by "npm run generate". Do not edit."""

from typing import Any, Literal, NamedTuple, TypedDict

PROTOCOL_VERSION = ${PROTOCOL_VERSION}

METHODS = (${Object.keys(METHODS).map(literal).join(', ')})

LEVELS = (${LEVELS.map(literal).join(', ')})
LEVEL_VALUES = (${LEVEL_VALUES.map((value) => value.toFixed(1)).join(', ')})


class ErrorRow(NamedTuple):
    family: str
    http_status: int
    retryable: bool
    sentence: str


ERROR_CODES = {
${errors.join('\n')}
}

${classes.join('\n')}`;
}

/**
 * Returns the Python type of a schema. Objects are appended to `classes` as `name`, after the classes of their parts.
 */
function typeOf(schema: JsonSchema, name: string, classes: string[]): string {
  if (schema.const !== undefined) return `Literal[${literal(schema.const)}]`;
  if (schema.enum !== undefined)
    return schema.enum.length > 12 ? 'str' : `Literal[${schema.enum.map(literal).join(', ')}]`;
  if (schema.anyOf !== undefined) {
    const several = schema.anyOf.filter((part) => part.type === 'object').length > 1;
    const types = schema.anyOf.map((part, i) => typeOf(part, several ? `${name}${i}` : name, classes));
    return [...types.filter((type) => type !== 'None'), ...types.filter((type) => type === 'None')].join(' | ');
  }
  if (schema.type === 'array') return listType(schema.items, `${name}Entry`, classes);
  if (schema.type === 'object') return objectType(schema, name, classes);
  return { string: 'str', integer: 'int', number: 'float', boolean: 'bool', null: 'None' }[schema.type ?? ''] ?? 'Any';
}

/** JSON has no tuples, so Python gets a list of the types of the entries. */
function listType(items: JsonSchema | JsonSchema[] = {}, name: string, classes: string[]): string {
  const types = [items].flat().map((item) => typeOf(item, name, classes));
  return `list[${[...new Set(types)].join(' | ')}]`;
}

function objectType(schema: JsonSchema, name: string, classes: string[]): string {
  if (schema.patternProperties !== undefined) {
    return `dict[str, ${typeOf(Object.values(schema.patternProperties)[0] ?? {}, `${name}Value`, classes)}]`;
  }
  const properties = Object.entries(schema.properties ?? {});
  if (properties.length === 0) return 'dict[str, Any]';
  const rows = properties.map(([key, part]) => ({
    key,
    type: typeOf(part, name + camel(key), classes),
    needed: schema.required?.includes(key) ?? false,
  }));
  const needed = rows.filter((row) => row.needed).map(({ key, type }) => `    ${key}: ${type}`);
  const free = rows.filter((row) => !row.needed).map(({ key, type }) => `    ${key}: ${type}`);
  // Python 3.10 lacks typing.NotRequired, so optional keys are in a subclass
  const base = free.length === 0 ? name : `${name}Required`;
  classes.push(`\nclass ${base}(TypedDict):\n${needed.join('\n') || '    pass'}\n`);
  if (free.length > 0) classes.push(`\nclass ${name}(${base}, total=False):\n${free.join('\n')}\n`);
  return name;
}
