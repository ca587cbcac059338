import { ScoreFailureSchema, ScoreResultSchema, type ScoreOutcome } from '../../../api/result.js';
import { QalignError } from '../../../base/errors.js';
import { hint } from '../../../base/suggest.js';
import { LEVELS } from '../../../scoring/levels.js';
import type { Column, ColumnType } from './column.js';

/** The keywords of a row's JSON Schema that are used here. */
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

/** Column types of lists by the type of their elements; otherwise integers. */
const LIST_TYPES: Readonly<Record<string, ColumnType>> = { string: 'texts', number: 'doubles' };

/** The table columns of every field of a row. Dotted names select a property; an object has one column per property. */
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
  if (type === 'array') return LIST_TYPES[part.items?.type ?? ''] ?? 'integers';
  if (type === 'integer' || name === 'schema_version') return 'integer';
  if (type === 'number') return 'double';
  return type === 'boolean' ? 'boolean' : 'text';
}

/**
 * Parses a comma-separated list of field names, for example `input,model.id`.
 *
 * @throws QalignError USAGE for an empty, unknown or repeated name
 */
export function parseFields(list: string): string[] {
  const names = list.split(',').map((name) => name.trim());
  for (const [at, name] of names.entries()) {
    if (name === '')
      throw new QalignError('USAGE', '--fields needs comma-separated names, for example input,score,level.');
    if (!FIELDS.has(name)) throw new QalignError('USAGE', `--fields: a row has no field "${name}"${fieldHint(name)}.`);
    if (names.indexOf(name) < at) throw new QalignError('USAGE', `--fields names ${name} twice; remove one.`);
  }
  return names;
}

/** Suggests the field for the name of a CSV column or for the last part of a dotted name. */
function fieldHint(word: string): string {
  const [, group, level] = /^(p|logit)_(\w+)$/.exec(word) ?? [];
  const column = `${group === 'p' ? 'level_probs' : 'logits'}.${level}`;
  const last = FIELD_NAMES.find((name) => name.endsWith(`.${word}`));
  const meant = LEVELS.includes(level as never) ? column : last;
  return meant === undefined ? hint(word, FIELD_NAMES) : ` (did you mean "${meant}"?)`;
}

/** Table columns of these fields: one per field, several for an object. */
export function columnsOf(names: readonly string[]): Column[] {
  const columns = names.flatMap((name) => FIELDS.get(name) ?? []);
  return columns.filter(({ name }, at) => columns.findIndex((other) => other.name === name) === at);
}

/** The value of a field; null if the outcome does not have it. */
export function fieldOf(outcome: ScoreOutcome, name: string): unknown {
  let value: unknown = outcome;
  for (const key of name.split('.')) value = (value as Readonly<Record<string, unknown>> | undefined)?.[key];
  return value ?? null;
}

/** Settings of a run that decide which fields `--resume` needs. */
export interface ResumeNeeds {
  /** Changed inputs are detected by hash instead of size and time. */
  readonly hash: boolean;
  readonly strict: boolean;
  readonly failBelow: number | undefined;
  readonly spreadsheet: boolean;
  /** The file has rows of several models. */
  readonly severalModels: boolean;
  readonly calibrated: boolean;
  /** Pictures need a map. */
  readonly map: boolean;
  /** Clips have frame curves. */
  readonly perFrame: boolean;
}

/** The fields that `--resume` needs and `names` does not include. */
export function lackingForResume(
  names: readonly string[],
  { hash, strict, failBelow, spreadsheet, severalModels, calibrated, map, perFrame }: ResumeNeeds,
): string[] {
  const needed = [
    'input',
    ...(spreadsheet ? ['input_base64'] : []),
    'task',
    ...(severalModels ? ['model.id'] : []),
    'score_version',
    ...(calibrated ? ['calibration'] : []),
    ...(hash ? ['sha256'] : ['file_size', 'modified']),
    ...(map ? ['kind'] : []),
    ...(map && !names.some((name) => name.startsWith('map.')) ? ['map'] : []),
    ...(strict ? ['warnings'] : []),
    ...(failBelow === undefined ? [] : ['score']),
    ...(perFrame ? [...(map ? [] : ['kind']), 'frame_curve.window'] : []),
  ];
  return needed.filter((name) => !names.includes(name) && !names.includes(name.replace(/\.(?:id|window)$/, '')));
}
