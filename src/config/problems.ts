import type { TSchema } from 'typebox';
import { Settings } from 'typebox/system';
import { Errors } from 'typebox/value';
import { choicesOf } from '../../bridge/choices.js';
import { hint } from '../base/suggest.js';

// typebox reports eight errors by default; a user needs all of them
Settings.Set({ maxErrors: 1000 });

interface Node {
  type?: string;
  properties?: Record<string, Node>;
  items?: Node;
  anyOf?: Node[];
  const?: unknown;
  enum?: unknown[];
  patternProperties?: Record<string, Node>;
}

/**
 * The problems of `value` under `schema`, one readable line each, in the order of the document. Empty if it is valid.
 */
export function problemsOf(schema: TSchema, value: unknown): string[] {
  const errors = Errors(schema, value);
  const unions = errors
    .filter((error) => error.keyword === 'anyOf')
    .map(({ schemaPath, instancePath }) => {
      const branch = branchOf(nodeAt(schema, instancePath), valueAt(value, instancePath));
      const kept = `${schemaPath}/anyOf/${branch}`;
      const isKept = errors.some((one) => one.keyword !== 'boolean' && isInside(one.schemaPath, kept));
      return { path: schemaPath, kept: isKept ? kept : undefined };
    });
  const lines = errors.flatMap((error): string[] => {
    const { keyword, instancePath, message } = error;
    const params = error.params as Record<string, unknown>;
    // errors of the branches of a union say less than its own, except those of the only branch for a list or an object
    if (unions.some(({ path, kept }) => isHidden(error.schemaPath, path, kept))) return [];
    if (keyword === 'anyOf' && unions.some(({ path, kept }) => path === error.schemaPath && kept !== undefined))
      return [];
    if (keyword === 'boolean') return []; // additionalProperties reports the same error
    const node = nodeAt(schema, instancePath);
    const where = dotted(instancePath);
    const found = show(valueAt(value, instancePath));
    if (keyword === 'additionalProperties') {
      const known = [node, ...(node?.anyOf ?? [])].flatMap((one) => Object.keys(one?.properties ?? {}));
      return (params['additionalProperties'] as string[]).map(
        (key) => `${join(where, key)}: unknown key${hint(key, known)}`,
      );
    }
    if (keyword === 'required') {
      return (params['requiredProperties'] as string[]).map((key) => `${join(where, key)}: missing`);
    }
    const choices = node === undefined ? [] : keyword === 'anyOf' ? choicesOf(node) : literals(node);
    if (choices.length > 0) {
      const word = valueAt(value, instancePath);
      return [
        `${where || 'the document'}: must be one of ${choices.join(', ')}, not ${found}${typeof word === 'string' ? nearHint(word, choices) : ''}`,
      ];
    }
    return [`${where || 'the document'}: ${message}, not ${found}`];
  });
  return [...new Set(lines)];
}

const isInside = (place: string, outer: string): boolean => place === outer || place.startsWith(`${outer}/`);

const isHidden = (place: string, union: string, kept: string | undefined): boolean =>
  place.startsWith(`${union}/anyOf/`) && (kept === undefined || !isInside(place, kept));

/** Position of the only branch of a union that takes lists or objects, if `value` is one. */
function branchOf(node: Node | undefined, value: unknown): number | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const type = Array.isArray(value) ? 'array' : 'object';
  const fitting = [...(node?.anyOf ?? []).entries()].filter(([, branch]) => branch.type === type);
  return fitting.length === 1 ? fitting[0]![0] : undefined;
}

function nearHint(word: string, choices: string[]): string {
  const text = hint(word, choices);
  return text.includes('did you mean') ? text : '';
}

function has(value: unknown, key: string): boolean {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, key);
}

function keysOf(pointer: string): string[] {
  return pointer
    .split('/')
    .slice(1)
    .map((key) => key.replaceAll('~1', '/').replaceAll('~0', '~'));
}

function valueAt(value: unknown, pointer: string): unknown {
  return keysOf(pointer).reduce<unknown>(
    (at, key) => (has(at, key) ? (at as Record<string, unknown>)[key] : undefined),
    value,
  );
}

function nodeAt(schema: Node, pointer: string): Node | undefined {
  return keysOf(pointer).reduce<Node | undefined>((node, key) => {
    if (node === undefined) return undefined;
    const branches = [node, ...(node.anyOf ?? [])];
    for (const branch of branches) {
      const next =
        branch.properties?.[key] ??
        (/^\d+$/.test(key) ? branch.items : undefined) ??
        Object.values(branch.patternProperties ?? {})[0];
      if (next !== undefined) return next;
    }
    return undefined;
  }, schema);
}

function literals(node: Node): string[] {
  if (node.enum !== undefined) return node.enum.map((value) => JSON.stringify(value).replaceAll('"', ''));
  if (node.const !== undefined) return [typeof node.const === 'string' ? node.const : JSON.stringify(node.const)];
  const inner = (node.anyOf ?? []).map(literals);
  return inner.length > 0 && inner.every((list) => list.length > 0) ? inner.flat() : [];
}

function dotted(pointer: string): string {
  return keysOf(pointer).join('.');
}

function join(where: string, key: string): string {
  return where === '' ? key : `${where}.${key}`;
}

function show(value: unknown): string {
  const text = value === undefined ? 'nothing' : JSON.stringify(value);
  return text.length > 60 ? `${text.slice(0, 57)}…` : text;
}
