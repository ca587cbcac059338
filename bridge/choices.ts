/** The parts of a JSON schema that say which values it allows. */
export interface ChoiceNode {
  readonly type?: unknown;
  readonly anyOf?: readonly ChoiceNode[];
  readonly const?: unknown;
  readonly enum?: readonly unknown[];
  readonly minimum?: number;
  readonly maximum?: number;
  readonly exclusiveMinimum?: number;
  readonly exclusiveMaximum?: number;
}

const NAMES: ReadonlyMap<unknown, string> = new Map([
  ['null', 'null'],
  ['boolean', 'true or false'],
  ['string', 'a text'],
  ['number', 'a number'],
  ['integer', 'an integer'],
  ['array', 'a list'],
  ['object', 'an object'],
]);

/** The allowed values of a schema in words, such as `auto` and `an integer >= 1`. Empty if it has no words for them. */
export function choicesOf(node: ChoiceNode): string[] {
  if (node.const !== undefined) return [word(node.const)];
  if (node.enum !== undefined) return node.enum.map(word);
  if (node.anyOf !== undefined) {
    const parts = node.anyOf.map(choicesOf);
    return parts.every((part) => part.length > 0) ? [...new Set(parts.flat())] : [];
  }
  const name = NAMES.get(node.type);
  if (name === undefined) return [];
  const bounds = [
    ['>=', node.minimum],
    ['>', node.exclusiveMinimum],
    ['<=', node.maximum],
    ['<', node.exclusiveMaximum],
  ].flatMap(([sign, limit]) => (limit === undefined ? [] : [`${sign} ${limit}`]));
  return [bounds.length === 0 ? name : `${name} ${bounds.join(' and ')}`];
}

const word = (value: unknown): string => (typeof value === 'string' ? value : JSON.stringify(value));
