import { PRECISIONS } from '../../../bridge/protocol/models.js';
import { WINDOW_FRAMES } from '../../api/frame-curve.js';
import { QalignError } from '../../base/errors.js';
import { hint } from '../../base/suggest.js';
import { TASKS, WANTED_FRAME_RULES } from '../../prompts/subject.js';
import { SCALES } from '../../scoring/levels.js';
import { leavesGaps, MAP_LIMITS, type MapOptions } from '../../scoring/quality-map.js';
import type { OneTask, ScoreManyOptions, ScoreOptions, ScorerOptions } from './scorer.js';

/** The condition on the value of an option, as text for the error message and as a check. */
interface Rule {
  readonly must: string;
  readonly fits: (value: unknown) => boolean;
}

const oneOf = (words: readonly string[]): Rule => ({
  must: `one of ${words.join(', ')}`,
  fits: (value) => words.includes(value as string),
});
const listOf = (what: string, one: Rule): Rule => ({
  must: `a list of ${what}`,
  fits: (value) => Array.isArray(value) && value.every((each) => one.fits(each)),
});
const isNumber = (value: unknown): value is number => typeof value === 'number' && Number.isFinite(value);
const text: Rule = { must: 'a text', fits: (value) => typeof value === 'string' && value !== '' };
const flag: Rule = { must: 'true or false', fits: (value) => typeof value === 'boolean' };
const number: Rule = { must: 'a number', fits: isNumber };
const positive: Rule = { must: 'a number above 0', fits: (value) => isNumber(value) && value > 0 };
const count: Rule = {
  must: 'a whole number of at least 1',
  fits: (value) => Number.isInteger(value) && (value as number) > 0,
};
const windowFrames: Rule = {
  must: `a whole number from ${WINDOW_FRAMES.minimum} to ${WINDOW_FRAMES.maximum}`,
  fits: (value) =>
    count.fits(value) && (value as number) >= WINDOW_FRAMES.minimum && (value as number) <= WINDOW_FRAMES.maximum,
};
const call: Rule = { must: 'a function', fits: (value) => typeof value === 'function' };
const object: Rule = { must: 'an object', fits: (value) => typeof value === 'object' && value !== null };
const signal: Rule = { must: 'an AbortSignal', fits: (value) => value instanceof AbortSignal };
const tasks = listOf(`tasks (${TASKS.join(', ')})`, oneOf(TASKS));
const folders: Rule = {
  must: 'an object with the text top and the list own',
  fits: (value) => object.fits(value) && 'top' in (value as object) && 'own' in (value as object),
};
const LIMITS: Readonly<Record<string, Rule>> = {
  maxBytes: positive,
  maxPixels: positive,
  maxFramePixels: positive,
  maxToolMemory: positive,
  maxFrames: positive,
  timeoutMs: positive,
  within: folders,
};
const limits: Rule = {
  must: `an object of numbers above 0 (${Object.keys(LIMITS).join(', ')})`,
  fits: (value) =>
    object.fits(value) &&
    Object.entries(value as object).every(
      ([key, one]) => Object.hasOwn(LIMITS, key) && (one === undefined || LIMITS[key]!.fits(one)),
    ),
};

const side = (key: keyof typeof MAP_LIMITS): Rule => {
  const { least, most } = MAP_LIMITS[key];
  return {
    must: `a whole number from ${least} to ${most}`,
    fits: (value) => Number.isInteger(value) && (value as number) >= least && (value as number) <= most,
  };
};
const MAP: Readonly<Record<keyof MapOptions, Rule>> = {
  window: side('window'),
  stride: side('stride'),
  max: side('max'),
};
const map: Rule = {
  must: `true, false or an object of ${Object.entries(MAP)
    .map(([key, { must }]) => `${key} (${must})`)
    .join(', ')}, with a stride of at most window`,
  fits: (value) =>
    flag.fits(value) ||
    (object.fits(value) &&
      Object.entries(value as object).every(
        ([key, one]) => Object.hasOwn(MAP, key) && (one === undefined || MAP[key as keyof MapOptions].fits(one)),
      ) &&
      !leavesGaps(value as MapOptions)),
};

type Rules<T> = Readonly<Record<keyof T, Rule>>;

/**
 * Options are checked at run time, because JavaScript callers get no type errors for misspelled keys or wrong values.
 */
const SCORER_OPTIONS: Rules<ScorerOptions> = {
  model: text,
  base: text,
  revision: text,
  device: text,
  devices: listOf('texts', text),
  listen: text,
  bridgeKeys: text,
  precision: oneOf(PRECISIONS),
  prompt: text,
  scale: oneOf(SCALES),
  autoOrient: flag,
  fps: positive,
  maxFrames: count,
  frameRule: oneOf(WANTED_FRAME_RULES),
  maxBatchFrames: count,
  deterministic: flag,
  stepMs: positive,
  offline: flag,
  allowUrls: flag,
  held: object,
  decodeBudget: object,
  log: object,
  revive: flag,
  onBatch: call,
  onProgress: call,
  signal,
};

const SCORE_OPTIONS: Rules<ScoreOptions> = {
  tasks,
  signal,
  scale: oneOf(SCALES),
  prompt: text,
  strict: flag,
  map,
  perFrame: flag,
  perFrameWindow: windowFrames,
  limits,
  lane: oneOf(['interactive', 'bulk']),
  ticket: number,
  place: object,
  traceparent: text,
  onStage: call,
};

const SCORE_MANY_OPTIONS: Rules<ScoreManyOptions> = { ...SCORE_OPTIONS, inFlight: count, tasksOf: call };

/**
 * Converts `task`, which requests one outcome instead of a list, to `tasks`.
 * @throws QalignError USAGE if both are given or the task is unknown
 */
export function readTask<T extends ScoreOptions>(
  options: T | (Omit<T, 'tasks'> & OneTask),
): { readonly own: T; readonly single: boolean } {
  if (!object.fits(options) || !('task' in options) || options.task === undefined)
    return { own: options as T, single: false };
  const { task, tasks: several, ...rest } = options;
  if (several !== undefined) throw new QalignError('USAGE', 'score takes task or tasks, not both.');
  if (!TASKS.includes(task))
    throw new QalignError('USAGE', `task must be one of ${TASKS.join(', ')}, not ${JSON.stringify(task)}.`);
  return { own: { ...rest, tasks: [task] } as unknown as T, single: true };
}

/**
 * @throws QalignError USAGE for an unknown key (suggests the nearest), a wrong value, or both `device` and `devices`
 */
export function requireScorerOptions(options: ScorerOptions): void {
  requireOptions('createScorer', options, SCORER_OPTIONS);
  if (options.device !== undefined && options.devices !== undefined)
    throw new QalignError('USAGE', 'createScorer takes device or devices, not both.');
}

/** @throws QalignError USAGE for an unknown key (suggests the nearest) or a wrong value */
export function requireScoreOptions(options: ScoreOptions): void {
  requireOptions('score', options, SCORE_OPTIONS);
}

/** @throws QalignError USAGE for an unknown key (suggests the nearest) or a wrong value */
export function requireScoreManyOptions(options: ScoreManyOptions): void {
  requireOptions('scoreMany', options, SCORE_MANY_OPTIONS);
}

/**
 * Checks the return value of `tasksOf`.
 * @throws QalignError USAGE
 */
export function requireKnownTasks(given: unknown): void {
  if (!tasks.fits(given)) throw new QalignError('USAGE', `tasksOf must return ${tasks.must}, not ${shown(given)}.`);
}

function requireOptions(caller: string, options: object, rules: Readonly<Record<string, Rule>>): void {
  if (!object.fits(options))
    throw new QalignError('USAGE', `The options of ${caller} must be an object, not ${shown(options)}.`);
  const names = Object.keys(rules);
  for (const [key, value] of Object.entries(options)) {
    const rule = Object.hasOwn(rules, key) ? rules[key] : undefined;
    if (rule === undefined)
      throw new QalignError(
        'USAGE',
        `${caller} has no option "${key}"${hint(key, names)}; its options are ${names.join(', ')}.`,
      );
    if (value !== undefined && !rule.fits(value))
      throw new QalignError('USAGE', `The option ${key} of ${caller} must be ${rule.must}, not ${shown(value)}.`);
  }
}

function shown(value: unknown): string {
  if (typeof value === 'function') return 'a function';
  if (typeof value === 'number' || typeof value === 'bigint') return String(value); // NaN too
  try {
    return (JSON.stringify(value) ?? String(value)).slice(0, 80);
  } catch {
    return `a ${typeof value}`;
  }
}
