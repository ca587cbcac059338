/** The keys of a configuration schema in words: for `--keys`, for editors and for the types of the library. */
import type { TSchema } from 'typebox';

/** What is read of a schema here: JSON Schema, draft 7, as TypeBox writes it. */
export interface SchemaNode {
  readonly type?: string;
  readonly properties?: Readonly<Record<string, SchemaNode>>;
  readonly patternProperties?: Readonly<Record<string, SchemaNode>>;
  readonly required?: readonly string[];
  readonly items?: SchemaNode | readonly SchemaNode[];
  readonly anyOf?: readonly SchemaNode[];
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly exclusiveMinimum?: number;
  readonly exclusiveMaximum?: number;
  readonly description?: string;
  readonly default?: unknown;
  readonly examples?: readonly unknown[];
  readonly pattern?: string;
}

/** A key of a schema by its place: `data.train`, `ensemble.with[].csv`, `beside.NAME.file`. */
export interface SchemaKey {
  readonly key: string;
  readonly node: SchemaNode;
  readonly required: boolean;
}

export interface KeyDescription {
  /** `data.train`, `ensemble.with[].csv`. */
  readonly key: string;
  /** In words: "whole number, at least 1". */
  readonly type: string;
  readonly required: boolean;
  /** Undefined where there is none. */
  readonly default: unknown;
  readonly meaning: string;
  readonly example: unknown;
}

/** The node of a schema. TypeBox types hide the JSON Schema that they are. */
export const nodeOf = (schema: TSchema): SchemaNode => schema;

/** Whether a key may be left out: it has a default, or nothing needs it. */
export function isOptional(parent: SchemaNode, key: string): boolean {
  return parent.properties?.[key]?.default !== undefined || parent.required?.includes(key) !== true;
}

/** Every key of a schema, those of inner objects after their own, in the order of the schema. */
export function describeKeys(schema: TSchema): KeyDescription[] {
  return keysOf(nodeOf(schema)).map(({ key, node, required }) => ({
    key,
    type: typeInWords(node),
    required,
    default: node.default,
    meaning: node.description ?? '',
    example: node.examples?.[0],
  }));
}

/** The same as nodes of the schema. @param isLeaf an object whose keys are described elsewhere */
export function keysOf(
  parent: SchemaNode,
  isLeaf: (node: SchemaNode) => boolean = () => false,
  prefix = '',
): SchemaKey[] {
  return Object.entries(parent.properties ?? {}).flatMap(([name, node]) => {
    const key = `${prefix}${name}`;
    const inner = innerObjects(node).filter(({ node: object }) => !isLeaf(object));
    const below = inner.flatMap(({ node: object, path }) => keysOf(object, isLeaf, `${key}${path}.`));
    return [{ key, node, required: !isOptional(parent, name) }, ...below];
  });
}

/** The objects that a key holds: itself, those of a list, of a union, of a record. */
function innerObjects(node: SchemaNode): { node: SchemaNode; path: string }[] {
  if (node.properties !== undefined) return [{ node, path: '' }];
  if (node.anyOf !== undefined) return node.anyOf.flatMap(innerObjects);
  if (node.patternProperties !== undefined)
    return Object.values(node.patternProperties)
      .flatMap(innerObjects)
      .map(({ node: inner, path }) => ({ node: inner, path: `.NAME${path}` }));
  if (node.type === 'array' && isNode(node.items))
    return innerObjects(node.items).map(({ node: inner, path }) => ({ node: inner, path: `[]${path}` }));
  return [];
}

export const isNode = (items: SchemaNode['items']): items is SchemaNode => items !== undefined && !Array.isArray(items);

/** "whole number, at least 1", "list of text", "cosine | constant", "text or null". */
export function typeInWords(node: SchemaNode): string {
  const values = literalsOf(node);
  if (values !== undefined) return values.map(String).join(' | ');
  if (node.anyOf !== undefined) return node.anyOf.map(typeInWords).join(' or ');
  if (node.type === 'array') {
    if (isNode(node.items)) return `list of ${typeInWords(node.items)}`;
    return `list of ${(node.items ?? []).map(typeInWords).join(' and ')}`;
  }
  if (node.patternProperties !== undefined)
    return `name: ${Object.values(node.patternProperties).map(typeInWords).join(' or ')}`;
  const word = { string: 'text', integer: 'whole number', boolean: 'true | false', object: 'keys' }[node.type ?? ''];
  return [word ?? node.type ?? 'any value', ...rangeInWords(node)].join(', ');
}

/** "at least 1", "above 0", "below 1", "at most 1", as far as they are given. */
export function rangeInWords(node: SchemaNode): string[] {
  const bounds = [
    ['at least', node.minimum],
    ['above', node.exclusiveMinimum],
    ['at most', node.maximum],
    ['below', node.exclusiveMaximum],
  ] as const;
  return bounds.flatMap(([word, bound]) => (bound === undefined ? [] : [`${word} ${bound}`]));
}

/** The values of a closed set; undefined for anything else. */
export function literalsOf(node: SchemaNode): readonly unknown[] | undefined {
  if (node.enum !== undefined) return node.enum;
  if (node.const !== undefined) return [node.const];
  if (node.type === 'null') return [null];
  const branches = node.anyOf?.map(literalsOf);
  return branches === undefined || branches.includes(undefined) ? undefined : branches.flatMap((one) => one ?? []);
}
