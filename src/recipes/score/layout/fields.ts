import { ScoreFailureSchema, ScoreResultSchema, type ScoreOutcome } from '../../../api/result.js';
import { QalignError } from '../../../base/errors.js';
import { hint } from '../../../base/suggest.js';
import { LEVELS } from '../../../scoring/levels.js';
import type { Column, ColumnType } from './column.js';

/** A part of the JSON Schema of a row, as far as it is read here. */
interface Part {
  readonly type?: string;
  readonly properties?: Readonly<Record<string, Part>>;
  readonly items?: Part;
  readonly anyOf?: readonly Part[];
}

const ROW: Readonly<Record<string, Part>> = {
  ...(ScoreFailureSchema.properties as Readonly<Record<string, Part>>),
  ...(ScoreResultSchema.properties as Readonly<Record<string, Part>>),
};

/** Every field of a row by name. Dotted names reach into objects; an object has the columns of its parts. */
const FIELDS: ReadonlyMap<string, readonly Column[]> = new Map(
  Object.entries(ROW).flatMap(([name, part]) => fieldsOf(name, part)),
);

export const FIELD_NAMES: readonly string[] = [...FIELDS.keys()];

function fieldsOf(name: string, part: Part): [string, Column[]][] {
  if (part.properties === undefined) return [[name, [{ name, type: typeOf(name, part) }]]];
  const parts = Object.entries(part.properties).flatMap(([key, inner]) => fieldsOf(`${name}.${key}`, inner));
  return [[name, parts.flatMap(([, columns]) => columns)], ...parts];
}

function typeOf(name: string, part: Part): ColumnType {
  if (name.startsWith('logits.')) return 'float';
  if (name === 'file_size') return 'long';
  const { type } = part.anyOf?.find((one) => one.type !== 'null') ?? part;
  if (type === 'array') return part.items?.type === 'string' ? 'texts' : 'integers';
  if (type === 'integer' || name === 'schema_version') return 'integer';
  if (type === 'number') return 'double';
  return type === 'boolean' ? 'boolean' : 'text';
}

/**
 * The names in `a,b.c,d`, in their order.
 *
 * @throws QalignError USAGE for none, for one that no row has, and for one named twice
 */
export function parseFields(list: string): string[] {
  const names = list.split(',').map((name) => name.trim());
  for (const [at, name] of names.entries()) {
    if (name === '')
      throw new QalignError('USAGE', '--fields needs names with commas between them, for example input,score,level.');
    if (!FIELDS.has(name)) throw new QalignError('USAGE', `--fields: a row has no field "${name}"${fieldHint(name)}.`);
    if (names.indexOf(name) < at) throw new QalignError('USAGE', `--fields names ${name} twice; leave one out.`);
  }
  return names;
}

/** Also for the columns of CSV files, and for the last part of a dotted name. */
function fieldHint(word: string): string {
  const [, group, level] = /^(p|logit)_(\w+)$/.exec(word) ?? [];
  const column = `${group === 'p' ? 'level_probs' : 'logits'}.${level}`;
  const last = FIELD_NAMES.find((name) => name.endsWith(`.${word}`));
  const meant = LEVELS.includes(level as never) ? column : last;
  return meant === undefined ? hint(word, FIELD_NAMES) : ` (did you mean "${meant}"?)`;
}

/** The columns of a table with these fields: one for each, several for an object. */
export function columnsOf(names: readonly string[]): Column[] {
  const columns = names.flatMap((name) => FIELDS.get(name) ?? []);
  return columns.filter(({ name }, at) => columns.findIndex((other) => other.name === name) === at);
}

/** The value of a field; null where the outcome has none. */
export function fieldOf(outcome: ScoreOutcome, name: string): unknown {
  let value: unknown = outcome;
  for (const key of name.split('.')) value = (value as Readonly<Record<string, unknown>> | undefined)?.[key];
  return value ?? null;
}

/** What a run asks of a file that it is to continue. */
export interface ResumeNeeds {
  /** Files are told apart by a hash, not by size and time. */
  readonly hash: boolean;
  readonly strict: boolean;
  readonly failBelow: number | undefined;
  readonly spreadsheet: boolean;
  /** Rows of several models are told apart by it. */
  readonly severalModels: boolean;
  readonly calibrated: boolean;
}

/** The fields that `--resume` reads and that are not among these. */
export function lackingForResume(
  names: readonly string[],
  { hash, strict, failBelow, spreadsheet, severalModels, calibrated }: ResumeNeeds,
): string[] {
  const needed = [
    'input',
    ...(spreadsheet ? ['input_base64'] : []),
    'task',
    ...(severalModels ? ['model.id'] : []),
    'score_version',
    ...(calibrated ? ['calibration'] : []),
    ...(hash ? ['sha256'] : ['file_size', 'modified']),
    ...(strict ? ['warnings'] : []),
    ...(failBelow === undefined ? [] : ['score']),
  ];
  return needed.filter((name) => !names.includes(name) && !(name === 'model.id' && names.includes('model')));
}
