/** Fields that can hold the key, in order of preference. `uid` is that of DataComp. */
export const KEY_FIELDS = ['key', '__key__', 'id', 'image_id', 'uid'];

/** The key of a sample, or `why` it has none, as the end of a sentence about the sample. */
export type Key = { readonly key: string } | { readonly why: string };

/** A key in exactly the given characters. */
export function keyOfText(text: string): Key {
  if (text === '') return { why: 'has no key' };
  return /[\r\n]/.test(text)
    ? { why: 'has a line end in its key, which would be two lines of a key list' }
    : { key: text };
}

/**
 * The key in the first of `fields` that a row has. Without such a field, `name`.
 *
 * @param sourceOf the JSON number of a field as it is written; undefined if the row was no JSON
 */
export function keyOf(
  row: Readonly<Record<string, unknown>>,
  name: string | undefined,
  fields: readonly string[] = KEY_FIELDS,
  sourceOf: (field: string) => string | undefined = () => undefined,
): Key {
  const field = fields.find((one) => Object.hasOwn(row, one));
  if (field === undefined) return keyOfText(name ?? '');
  const value = row[field];
  if (typeof value === 'string') return keyOfText(value);
  if (typeof value === 'bigint' || Number.isSafeInteger(value)) return { key: String(value) };
  return typeof value === 'number' ? keyOfNumber(value, sourceOf(field)) : { why: 'has no key' };
}

/** A number that is no safe integer: its source if that is an integer, otherwise only if no digit was lost. */
function keyOfNumber(value: number, source: string | undefined): Key {
  if (source !== undefined && /^-?\d+$/.test(source)) return { key: source };
  const isExact = source === undefined ? Number.isFinite(value) && !Number.isInteger(value) : source === String(value);
  return isExact ? { key: String(value) } : { why: `has the number ${source ?? value} as its key, which is not exact` };
}

/** A JSON object with the source of its numbers; undefined if the text is none. */
export interface JsonRow {
  readonly row: Readonly<Record<string, unknown>>;
  /** The number of a field as it is written. */
  readonly sourceOf: (field: string) => string | undefined;
}

/** Reads a JSON object, with or without a byte order mark. */
export function readJsonRow(text: string): JsonRow | undefined {
  const json = text.startsWith('\uFEFF') ? text.slice(1) : text;
  const row = objectOf(json);
  if (row === undefined) return undefined;
  const sourceOf = (field: string): string | undefined => {
    const source = objectOf(withTextsForNumbers(json))?.[field];
    return typeof row[field] === 'number' && typeof source === 'string' ? source : undefined;
  };
  return { row, sourceOf };
}

function objectOf(json: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(json);
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : undefined;
  } catch {
    return undefined;
  }
}

/** Valid JSON with each number as a text, because Node.js 20 does not give the source of a value. */
function withTextsForNumbers(json: string): string {
  const parts: string[] = [];
  let copied = 0;
  const token = /"|-?\d[\d.eE+-]*/g;
  for (let found = token.exec(json); found !== null; found = token.exec(json)) {
    if (found[0] === '"') {
      token.lastIndex = endOfString(json, token.lastIndex);
      continue;
    }
    parts.push(json.slice(copied, found.index), `"${found[0]}"`);
    copied = token.lastIndex;
  }
  return parts.join('') + json.slice(copied);
}

/** The position behind the closing quotation mark. A loop, because a pattern for long texts exhausts the stack. */
function endOfString(json: string, from: number): number {
  const special = /["\\]/g;
  special.lastIndex = from;
  for (let found = special.exec(json); found !== null; found = special.exec(json)) {
    if (found[0] === '"') return special.lastIndex;
    special.lastIndex += 1;
  }
  return json.length;
}
