import { parsePart, type ShardPart } from '../../recipes/shards/expand.js';
import { parseKeep, type Keep } from '../../recipes/shards/keep.js';
import type { ShardFormat } from '../../recipes/shards/names.js';
import type { ScorerOptions } from '../../recipes/score/scorer.js';
import type { Task } from '../../prompts/subject.js';
import { scorerOptions, usage, wholeNumber, type ScoreFlags } from './request.js';

/** A run of `qalign score` over shards, or a shard worker. */
export interface ShardRequest {
  readonly patterns: readonly string[];
  readonly isWorker: boolean;
  readonly out: string;
  readonly format: ShardFormat;
  readonly part: ShardPart | undefined;
  readonly keep: Keep | undefined;
  readonly json: boolean;
  readonly quiet: boolean;
  readonly tasks: readonly Task[];
  readonly strict: boolean;
  readonly limit: number | undefined;
  readonly calibration: string | undefined;
  readonly allowUrls: boolean;
  readonly scorer: ScorerOptions;
}

/** Flags that a run over shards takes. */
const ALLOWED: readonly string[] = [
  ...['shards', 'shard', 'shard-worker', 'keep', 'progress', 'out', 'format', 'quiet', 'limit', 'strict'],
  ...['task', 'model', 'base', 'revision', 'precision', 'scale', 'prompt', 'calibration', 'allow-urls', 'auto-orient'],
  ...['fps', 'max-frames', 'frame-rule', 'device', 'listen', 'bridge-keys', 'batch', 'deterministic', 'offline'],
  ...['ray', 'ray-token-file', 'ray-workers', 'ray-cpus', 'ray-stop', 'color', 'help'],
];
/** Flags that need a run over shards. */
const OF_SHARDS = ['shard', 'keep', 'progress', 'ray', 'ray-token-file', 'ray-workers', 'ray-cpus'] as const;

/** Whether a line scores shards. */
export const wantsShards = (flags: ScoreFlags): boolean => flags.shards.length > 0 || flags['shard-worker'] === true;

/** @throws QalignError USAGE for a flag of shards without shards */
export function requireNoShardFlags(flags: ScoreFlags): void {
  const stray = OF_SHARDS.find((name) => flags[name] !== undefined);
  if (stray !== undefined) throw usage(`--${stray} needs --shards`);
  if (flags['ray-stop'] === true) throw usage('--ray-stop needs --shards');
}

/** Reads the flags of a run over shards. @param inputs further patterns @throws QalignError USAGE */
export function readShardFlags(flags: ScoreFlags, inputs: readonly string[]): ShardRequest {
  const isWorker = flags['shard-worker'] === true;
  if (flags.resume === true) throw usage('--shards always continues its results; leave out --resume');
  requireAllowed(flags);
  if (isWorker && (flags.shards.length > 0 || inputs.length > 0))
    throw usage('a shard worker reads its shards from stdin; leave out --shards and inputs');
  requireForRay(flags, isWorker);
  const { out, format = 'parquet' } = flags;
  if (out === undefined) throw usage('--shards needs --out, the folder of the results (a path, or s3://BUCKET/FOLDER)');
  if (/\.(?:parquet|jsonl)$/i.test(out))
    throw usage(`--out of --shards is a folder, not a file such as ${out}; each shard has a result in it`);
  if (format !== 'parquet' && format !== 'jsonl') throw usage(`results of shards are parquet or jsonl, not ${format}`);
  if (flags.model.length > 1) throw usage('--shards takes one --model; score each model into its own --out');
  const { fps } = flags;
  if (fps !== undefined && !(fps > 0 && fps <= 1000)) throw usage(`--fps must be above 0 and at most 1000, not ${fps}`);
  wholeNumber(flags, 'max-frames');
  wholeNumber(flags, 'batch');
  const tasks = [...new Set(flags.task as Task[])];
  const keep = flags.keep === undefined ? undefined : parseKeep(flags.keep);
  if (keep !== undefined && tasks.length > 1) throw usage('--keep takes one --task');
  return {
    patterns: [...flags.shards, ...inputs],
    isWorker,
    out,
    format,
    part: flags.shard === undefined ? undefined : parsePart(flags.shard),
    keep,
    json: flags.progress === 'json',
    quiet: flags.quiet === true,
    tasks,
    strict: flags.strict === true,
    limit: wholeNumber(flags, 'limit'),
    calibration: flags.calibration,
    allowUrls: flags['allow-urls'] === true,
    scorer: scorerOptions(flags, flags.model[0]),
  };
}

function requireAllowed(flags: ScoreFlags): void {
  for (const [name, value] of Object.entries(flags)) {
    const isGiven = Array.isArray(value) ? value.length > 0 : value !== undefined && value !== false;
    if (isGiven && !ALLOWED.includes(name))
      throw usage(`--${name} is not for shards; leave it out, or score files and folders without --shards`);
  }
}

/** @throws QalignError USAGE for a flag of --ray without it */
function requireForRay(flags: ScoreFlags, isWorker: boolean): void {
  if (isWorker && flags.ray !== undefined) throw usage('a shard worker scores on this host; leave out --ray');
  if (flags.ray !== undefined) return;
  const stray = (['ray-token-file', 'ray-workers', 'ray-cpus'] as const).find((name) => flags[name] !== undefined);
  const name = flags['ray-stop'] === true ? 'ray-stop' : stray;
  if (name !== undefined) throw usage(`--${name} needs --ray, the address of the cluster`);
}
