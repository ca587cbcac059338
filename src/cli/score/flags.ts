import { extname } from 'node:path';
import { QalignError } from '../../base/errors.js';
import { TASKS, type Task } from '../../prompts/subject.js';
import type { ScorerOptions } from '../../recipes/score/scorer.js';
import type { CsvOptions } from '../../recipes/score/result-csv.js';
import { SCALES, type Scale } from '../../scoring/levels.js';
import type { FlagValues, Flags } from '../command.js';
import type { ScoreFormat } from './sink.js';

export const SCORE_FLAGS = {
  task: { type: 'string', multiple: true, choices: TASKS, help: 'what to rate; may be repeated (default: quality)' },
  model: { type: 'string', value: 'NAME|DIR|ID', help: 'a model of "qalign models list", a directory or a hub id' },
  base: { type: 'string', value: 'NAME|DIR|ID', help: 'base model of a LoRA' },
  revision: { type: 'string', value: 'REV', help: 'commit, tag or branch of a hub model' },
  device: {
    type: 'string',
    value: 'auto|cpu|cuda:N|N,M|remote:N',
    help: 'auto: the first CUDA device, else the CPU; N,M: one worker on each; remote:N: N workers of other hosts',
  },
  listen: { type: 'string', value: 'tcp://HOST:PORT', help: 'where workers of other hosts connect' },
  'bridge-keys': { type: 'string', value: 'FILE', help: 'head.json of "qalign workers keys": who may connect' },
  precision: { type: 'string', choices: ['auto', 'fp32', 'bf16', 'fp16'], help: 'auto: fp32 on a CPU, bf16 on CUDA' },
  scale: { type: 'string', choices: SCALES, help: 'mos5: 1 to 5 (default), unit: 0 to 1, percent: 0 to 100' },
  calibration: {
    type: 'string',
    value: 'FILE',
    help: 'also give scores on the MOS scale of a data set, by a file of "qalign calibrate"',
  },
  prompt: { type: 'string', value: 'NAME', help: 'a prompt of configs/prompts, or a YAML file like them' },
  format: {
    type: 'string',
    choices: ['table', 'json', 'jsonl', 'csv', 'parquet'],
    help: 'default: by the ending of --out; else table on a terminal, jsonl elsewhere',
  },
  out: {
    type: 'string',
    short: 'o',
    value: 'FILE',
    help: 'write there instead of to stdout (.jsonl, .json, .csv, .parquet)',
  },
  resume: {
    type: 'boolean',
    help: 'continue --out where an earlier run ended; changed files and failures are scored again',
  },
  verify: {
    type: 'string',
    choices: ['time', 'hash'],
    help: 'what tells a changed file: size and time (default), or a hash of its bytes, kept in each row',
  },
  strict: { type: 'boolean', help: 'an input with warnings fails instead of being scored' },
  'fail-below': { type: 'number', value: 'X', help: 'exit with 3 when a score is under X' },
  'auto-orient': { type: 'boolean', help: 'turn pictures as their EXIF orientation says (the reference does not)' },
  fps: { type: 'number', value: 'F', help: 'frames taken a second of video (default: the rule of the reference, one)' },
  'max-frames': { type: 'number', value: 'N', help: 'at most so many frames of a video' },
  'frame-rule': {
    type: 'string',
    choices: ['auto', 'published'],
    help: 'auto: by time stamps where the rate of a video varies (default); published: as the reference, int(fps · i)',
  },
  include: { type: 'string', multiple: true, value: 'GLOB', help: 'in folders and globs, only files like this' },
  exclude: { type: 'string', multiple: true, value: 'GLOB', help: 'in folders and globs, no files like this' },
  hidden: { type: 'boolean', help: 'in folders and globs, also files and folders whose name begins with a dot' },
  'csv-safe': {
    type: 'boolean',
    help: 'CSV: an apostrophe before text that a spreadsheet would run as a formula',
  },
  'allow-urls': { type: 'boolean', help: 'fetch inputs that are http(s) URLs (never from private addresses)' },
  deterministic: {
    type: 'boolean',
    help: 'compute each input alone: scores of equal bytes in every run on this machine; slower on a GPU',
  },
  offline: { type: 'boolean', help: 'never reach for the network; the model must be in the cache' },
} as const satisfies Flags;

/** How inputs are found; see `ExpandOptions`. */
export interface SearchRequest {
  readonly allowUrls: boolean;
  readonly include: readonly string[];
  readonly exclude: readonly string[];
  readonly hidden: boolean;
  readonly hash: boolean;
}

export interface ScoreRequest {
  readonly tasks: readonly Task[];
  readonly format: ScoreFormat;
  readonly out: string | undefined;
  readonly resume: boolean;
  readonly failBelow: number | undefined;
  readonly calibration: string | undefined;
  readonly strict: boolean;
  readonly csv: CsvOptions;
  readonly search: SearchRequest;
  readonly scorer: ScorerOptions;
}

/** Checks what flags mean together. Throws USAGE. */
export function readScoreFlags(flags: FlagValues<typeof SCORE_FLAGS>, outIsTerminal: boolean): ScoreRequest {
  const out = flags.out;
  const format =
    (flags.format as ScoreFormat | undefined) ??
    (out === undefined ? (outIsTerminal ? 'table' : 'jsonl') : formatOf(out));
  const resume = flags.resume === true;
  if (out !== undefined && format === 'table')
    throw usage('--format table cannot be written to --out; choose json, jsonl or csv');
  if (resume && out === undefined) throw usage('--resume needs --out, the file to continue');
  if (resume && (format === 'json' || format === 'parquet'))
    throw usage(
      `--resume cannot continue ${format === 'json' ? 'a JSON array' : 'a Parquet file'}; choose jsonl or csv`,
    );
  if (format === 'parquet' && out === undefined) throw usage('--format parquet needs --out');
  if (flags['csv-safe'] === true && format !== 'csv') throw usage('--csv-safe needs CSV: --format csv or a .csv file');
  if (flags.fps !== undefined && !(flags.fps > 0 && flags.fps <= 1000))
    throw usage(`--fps must be above 0 and at most 1000, not ${flags.fps}`);
  const maxFrames = flags['max-frames'];
  if (maxFrames !== undefined && !(Number.isInteger(maxFrames) && maxFrames >= 1))
    throw usage(`--max-frames must be a whole number from 1, not ${maxFrames}`);
  for (const name of ['include', 'exclude'] as const)
    if (flags[name].some((pattern) => /^\/*$/.test(pattern)))
      throw usage(`--${name} needs a pattern, for example '*.png'; this one is empty`);
  const tasks = [...new Set(flags.task as Task[])];
  return {
    tasks,
    format,
    out,
    resume,
    failBelow: flags['fail-below'],
    calibration: flags.calibration,
    strict: flags.strict === true,
    csv: { spreadsheet: flags['csv-safe'] === true },
    search: {
      allowUrls: flags['allow-urls'] === true,
      include: flags.include,
      exclude: flags.exclude,
      hidden: flags.hidden === true,
      hash: flags.verify === 'hash',
    },
    scorer: {
      model: flags.model,
      base: flags.base,
      revision: flags.revision,
      device: flags.device,
      listen: flags.listen,
      bridgeKeys: flags['bridge-keys'],
      prompt: flags.prompt,
      precision: flags.precision as ScorerOptions['precision'],
      scale: flags.scale as Scale | undefined,
      autoOrient: flags['auto-orient'] === true,
      fps: flags.fps,
      maxFrames,
      frameRule: flags['frame-rule'] as ScorerOptions['frameRule'],
      allowUrls: flags['allow-urls'] === true,
      offline: flags.offline === true,
      ...(flags.deterministic === true ? { deterministic: true } : {}),
    },
  };
}

const FORMATS: Readonly<Record<string, ScoreFormat>> = {
  jsonl: 'jsonl',
  ndjson: 'jsonl',
  json: 'json',
  csv: 'csv',
  parquet: 'parquet',
};

function formatOf(path: string): ScoreFormat {
  const ending = extname(path).slice(1).toLowerCase();
  const format = Object.hasOwn(FORMATS, ending) ? FORMATS[ending] : undefined;
  if (format !== undefined) return format;
  throw usage(
    `--out ${path} does not say the format: end its name in .jsonl, .json, .csv or .parquet, or add --format`,
  );
}

function usage(problem: string): QalignError {
  return new QalignError('USAGE', `qalign score: ${problem}.`);
}
