import { extname, resolve } from 'node:path';
import { WINDOW_FRAMES } from '../../api/frame-curve.js';
import { QalignError } from '../../base/errors.js';
import type { Task } from '../../prompts/subject.js';
import type { ScorerOptions } from '../../recipes/score/scorer.js';
import type { CsvOptions } from '../../recipes/score/result-csv.js';
import { compactLayout } from '../../recipes/score/layout/compact.js';
import { lackingForResume, parseFields, type ResumeNeeds } from '../../recipes/score/layout/fields.js';
import { fieldsLayout, fullLayout, type ResultLayout } from '../../recipes/score/layout/layout.js';
import { withMapColumns } from '../../recipes/score/map/columns.js';
import type { Scale } from '../../scoring/levels.js';
import { leavesGaps, MAP_LIMITS, type MapOptions } from '../../scoring/quality-map.js';
import type { FlagValues } from '../command.js';
import type { Best } from './best.js';
import type { CurveRequest } from './curve-file.js';
import type { SCORE_FLAGS } from './flags.js';
import type { ScoreFormat } from './sink.js';

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
  /** Whether `--resume` can continue the output of this run. */
  readonly resumable: boolean;
  readonly failBelow: number | undefined;
  readonly calibration: string | undefined;
  readonly strict: boolean;
  readonly curve: CurveRequest | undefined;
  readonly quiet: boolean;
  readonly layout: ResultLayout;
  readonly needs: ResumeNeeds;
  readonly best: Best | undefined;
  readonly limit: number | undefined;
  /** Undefined without maps. */
  readonly map: MapOptions | undefined;
  /** Folder for the pictures of maps. */
  readonly mapOut: string | undefined;
  readonly csv: CsvOptions;
  readonly search: SearchRequest;
  /** One entry for each model. */
  readonly scorers: readonly ScorerOptions[];
}

export type ScoreFlags = FlagValues<typeof SCORE_FLAGS>;

/** Reads the flags and checks their combinations. @throws QalignError USAGE */
export function readScoreFlags(flags: ScoreFlags, outIsTerminal: boolean): ScoreRequest {
  const { out } = flags;
  const format = formatFor(flags, outIsTerminal);
  const resume = flags.resume === true;
  requireFitting(flags, format);
  const models = [...new Set(flags.model)];
  requireForModels(flags, models);
  const curve = curveOf(flags);
  const needs: ResumeNeeds = {
    hash: flags.verify === 'hash',
    strict: flags.strict === true,
    failBelow: flags['fail-below'],
    spreadsheet: flags['csv-safe'] === true,
    severalModels: models.length > 1,
    calibrated: flags.calibration !== undefined,
    map: flags.map === true,
    perFrame: curve !== undefined,
  };
  const names = flags.fields === undefined ? undefined : parseFields(flags.fields);
  const lacking = names === undefined ? [] : lackingForResume(names, needs);
  if (resume && names !== undefined && lacking.length > 0)
    throw usage(
      `--resume reads ${lacking.join(', ')} in each row; add them: --fields ${[...names, ...lacking].join()} (a file without them cannot be continued)`,
    );
  const layout = layoutOf(names, flags.compact === true, curve);
  const best = bestOf(flags);
  const isLines = format === 'jsonl' || format === 'csv';
  return {
    tasks: [...new Set(flags.task as Task[])],
    format,
    out,
    resume,
    resumable: out !== undefined && isLines && best === undefined && lacking.length === 0,
    failBelow: needs.failBelow,
    calibration: flags.calibration,
    strict: needs.strict,
    curve,
    quiet: flags.quiet === true,
    layout: flags.map === true ? withMapColumns(layout) : layout,
    needs,
    best,
    limit: wholeNumber(flags, 'limit'),
    map: mapOf(flags),
    mapOut: flags['map-out'],
    csv: { spreadsheet: needs.spreadsheet },
    search: {
      allowUrls: flags['allow-urls'] === true,
      include: flags.include,
      exclude: flags.exclude,
      hidden: flags.hidden === true,
      hash: needs.hash,
    },
    scorers: (models.length === 0 ? [undefined] : models).map((model) => scorerOptions(flags, model)),
  };
}

function layoutOf(
  names: readonly string[] | undefined,
  isCompact: boolean,
  curve: CurveRequest | undefined,
): ResultLayout {
  const withCurves = curve !== undefined;
  if (names === undefined) return isCompact ? compactLayout({}, withCurves) : fullLayout(withCurves);
  const layout = fieldsLayout(names);
  if (withCurves && curve.out === undefined && !layout.withCurves)
    throw usage(
      '--per-frame computes frame_curve, but --fields leaves it out; add frame_curve, or leave out --per-frame',
    );
  return layout;
}

function curveOf(flags: ScoreFlags): CurveRequest | undefined {
  const [window, out] = [flags['per-frame-window'], flags['per-frame-csv']];
  const { minimum, maximum } = WINDOW_FRAMES;
  if (window !== undefined && !(Number.isSafeInteger(window) && window >= minimum && window <= maximum))
    throw usage(`--per-frame-window must be a whole number from ${minimum} to ${maximum}, not ${window}`);
  if (out !== undefined && flags.resume === true)
    throw usage(
      '--per-frame-csv cannot be continued; leave it out and read frame_curve from --out, or leave out --resume',
    );
  if (out !== undefined && flags.out !== undefined && resolve(out) === resolve(flags.out))
    throw usage('--per-frame-csv and --out name the same file; choose two');
  if (window !== undefined) return { window, perFrameWindow: window, out };
  return flags['per-frame'] === true || out !== undefined ? { window: 1, perFrame: true, out } : undefined;
}

/** @throws QalignError USAGE for a value out of range, a stride that leaves gaps, or a flag of maps without --map */
function mapOf(flags: ScoreFlags): MapOptions | undefined {
  const stray = (['map-window', 'map-stride', 'map-max', 'map-out'] as const).find((name) => flags[name] !== undefined);
  if (flags.map !== true && stray !== undefined) throw usage(`--${stray} needs --map`);
  if (flags.map !== true) return undefined;
  for (const [key, { least, most }] of Object.entries(MAP_LIMITS)) {
    const value = flags[`map-${key as keyof typeof MAP_LIMITS}`];
    if (value !== undefined && !(Number.isInteger(value) && value >= least && value <= most))
      throw usage(`--map-${key} must be a whole number from ${least} to ${most}, not ${value}`);
  }
  if (flags['map-out'] === '') throw usage('--map-out needs the name of a folder');
  const options = { window: flags['map-window'], stride: flags['map-stride'], max: flags['map-max'] };
  if (leavesGaps(options))
    throw usage(`--map-stride ${options.stride} must be at most --map-window ${options.window}, or parts are left out`);
  return options;
}

export function scorerOptions(flags: ScoreFlags, model: string | undefined): ScorerOptions {
  return {
    model,
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
    maxFrames: flags['max-frames'],
    frameRule: flags['frame-rule'] as ScorerOptions['frameRule'],
    allowUrls: flags['allow-urls'] === true,
    maxBatchFrames: flags.batch,
    deterministic: flags.deterministic === true,
    offline: flags.offline === true,
  };
}

function formatFor({ format, out, fields }: ScoreFlags, outIsTerminal: boolean): ScoreFormat {
  if (format !== undefined) return format as ScoreFormat;
  if (out !== undefined) return formatOf(out);
  return outIsTerminal && fields === undefined ? 'table' : 'jsonl'; // the table has fixed columns
}

function requireFitting(flags: ScoreFlags, format: ScoreFormat): void {
  const { out, resume, fps } = flags;
  if (out !== undefined && format === 'table')
    throw usage('--format table cannot be written to --out; choose json, jsonl or csv');
  if (resume === true && out === undefined) throw usage('--resume needs --out, the file to continue');
  if (resume === true && (format === 'json' || format === 'parquet'))
    throw usage(
      `--resume cannot continue ${format === 'json' ? 'a JSON array' : 'a Parquet file'}; choose jsonl or csv`,
    );
  if (format === 'parquet' && out === undefined) throw usage('--format parquet needs --out');
  if (flags['csv-safe'] === true && format !== 'csv') throw usage('--csv-safe needs CSV: --format csv or a .csv file');
  if (flags.fields !== undefined && format === 'table')
    throw usage('--fields and the table have different columns; choose --format csv, jsonl or json');
  if (flags.fields !== undefined && flags.compact === true)
    throw usage('--compact chooses the fields; leave out --fields or --compact');
  if (flags.compact === true && out === undefined)
    throw usage('--compact needs --out, because shared values are written beside that file');
  if (flags.compact === true && format === 'json')
    throw usage('--compact cannot write a JSON array; choose jsonl, csv or parquet');
  if (resume === true && (flags.top ?? flags.bottom) !== undefined)
    throw usage('--resume cannot continue a list of best or worst scores; leave out --top and --bottom, or --resume');
  if (fps !== undefined && !(fps > 0 && fps <= 1000)) throw usage(`--fps must be above 0 and at most 1000, not ${fps}`);
  wholeNumber(flags, 'max-frames');
  wholeNumber(flags, 'batch');
  for (const name of ['include', 'exclude'] as const)
    if (flags[name].some((pattern) => /^\/*$/.test(pattern)))
      throw usage(`--${name} needs a pattern, for example '*.png'; this one is empty`);
}

/** Refuses flags for a single model in a run with several. */
function requireForModels(flags: ScoreFlags, models: readonly string[]): void {
  if (models.length < 2) return;
  for (const name of ['base', 'revision', 'calibration'] as const)
    if (flags[name] !== undefined)
      throw usage(
        `--${name} applies to one model, but --model names ${models.length}; score each model in a separate run`,
      );
  if (flags.listen !== undefined || flags.device?.startsWith('remote') === true)
    throw usage('workers of other hosts serve one model per run; name one --model, or use local devices');
}

function bestOf(flags: ScoreFlags): Best | undefined {
  const [top, bottom] = [wholeNumber(flags, 'top'), wholeNumber(flags, 'bottom')];
  if (top !== undefined && bottom !== undefined)
    throw usage('--top and --bottom cannot be combined; choose one of them');
  if (top !== undefined) return { count: top, order: 'top' };
  return bottom === undefined ? undefined : { count: bottom, order: 'bottom' };
}

export function wholeNumber(
  flags: ScoreFlags,
  name: 'max-frames' | 'top' | 'bottom' | 'limit' | 'batch' | 'ray-workers' | 'ray-cpus',
): number | undefined {
  const value = flags[name];
  if (value !== undefined && !(Number.isSafeInteger(value) && value >= 1))
    throw usage(`--${name} must be a whole number of at least 1, not ${value}`);
  return value;
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
    `the format of --out ${path} is unknown; use the extension .jsonl, .json, .csv or .parquet, or add --format`,
  );
}

export function usage(problem: string): QalignError {
  return new QalignError('USAGE', `qalign score: ${problem}.`);
}
