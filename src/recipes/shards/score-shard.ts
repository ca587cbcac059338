import { isFailure, type ScoreOutcome } from '../../api/result.js';
import { QalignError } from '../../base/errors.js';
import { firstSignal } from '../../base/first-signal.js';
import { orderedMap } from '../../base/ordered-map.js';
import { BatchGroup } from '../../engine/index.js';
import { DEFAULT_LIMITS, type MediaLimits } from '../../media/limits.js';
import type { Task } from '../../prompts/subject.js';
import type { Scorer } from '../score/scorer.js';
import { inBlocks } from './blocks.js';
import type { Keep } from './keep.js';
import type { ShardFormat } from './names.js';
import { inputOf } from './result/shard-input.js';
import { openShard } from './read/open-shard.js';
import type { PendingSample } from './read/sample.js';
import { openShardFile, type ShardFile } from './result/shard-file.js';
import { keepNameOf, readShardMeta, requireInput, requireSettings, type ShardSettings } from './result/shard-meta.js';
import type { Stored, Stores } from './store/store.js';

/** Settings of a run over shards. */
export interface ShardRun {
  readonly stores: Stores;
  readonly format: ShardFormat;
  readonly tasks: readonly Task[];
  readonly strict: boolean;
  readonly allowUrls: boolean;
  /** Most samples of each shard that are read. */
  readonly limit: number | undefined;
  readonly keep: Keep | undefined;
  /**
   * Limits of decoding.
   * @default DEFAULT_LIMITS
   */
  readonly limits?: Partial<MediaLimits> | undefined;
  readonly signal: AbortSignal;
}

/** A shard and where its result belongs. */
export interface ShardJob {
  readonly shard: string;
  /** Path or address of the result. */
  readonly output: string;
}

/** A complete result. */
export interface ShardResult {
  readonly items: number;
  readonly failed: number;
  readonly commit: 'written' | 'present';
}

/** A loaded model, and how its work is divided. */
export interface ShardScorer {
  readonly scorer: Pick<Scorer, 'score'>;
  /** score_version of the rows. */
  readonly version: string;
  /** Pictures of one batch. */
  readonly batch: number;
  /** Blocks of one batch that are in work at a time. */
  readonly blocks: number;
  /** Completes an outcome, as by a calibration. */
  readonly finish: (outcome: ScoreOutcome) => ScoreOutcome;
}

export const settingsOf = ({ tasks, strict, limit, keep }: ShardRun, version: string): ShardSettings => ({
  score_version: version,
  tasks: [...tasks],
  strict,
  limit: limit ?? null,
  keep: keep?.text ?? null,
});

/** @throws QalignError SHARD_NOT_FOUND */
async function requireShard({ stores }: ShardRun, shard: string): Promise<Stored> {
  const found = await (await stores.of(shard)).stat(shard);
  if (found === undefined) throw new QalignError('SHARD_NOT_FOUND', `${shard} does not exist; check its name.`);
  return found;
}

/** Result of an earlier run; undefined if there is none. @throws QalignError RESUME_MISMATCH for another */
export async function presentResult(
  run: ShardRun,
  { shard, output }: ShardJob,
  version: string,
): Promise<ShardResult | undefined> {
  const meta = await readShardMeta(await run.stores.of(output), output, run.format);
  if (meta === undefined) return undefined;
  requireSettings(output, meta, settingsOf(run, version));
  requireInput(output, meta, await inputOf(await run.stores.of(shard), shard, await requireShard(run, shard)));
  return { items: meta.items, failed: meta.failed, commit: 'present' };
}

/**
 * Scores a shard into one result, which appears only when it is complete.
 *
 * @param onItems called with the number of items so far
 * @throws QalignError of the shard, the storage or the model; then there is no result
 */
export async function scoreShard(
  run: ShardRun,
  { shard, output }: ShardJob,
  model: ShardScorer,
  onItems: (items: number) => void = () => {},
): Promise<ShardResult> {
  const { stores, format, limit, keep, allowUrls, limits } = run;
  const found = await requireShard(run, shard);
  const input = await inputOf(await stores.of(shard), shard, found);
  const ended = new AbortController(); // items that are in work when the shard fails are not computed
  const { signal = ended.signal, release } = firstSignal(run.signal, ended.signal);
  const file = await openShardFile(await stores.of(output), output, format);
  try {
    const samples = openShard(shard, found, stores, {
      allowUrls,
      most: limits?.maxBytes ?? DEFAULT_LIMITS.maxBytes,
      signal,
    });
    const blocks = inBlocks(samples, model.batch, limit);
    const count = { items: 0, failed: 0, rows: 0 };
    const kept: string[] = [];
    for await (const rows of orderedMap(
      blocks,
      model.blocks,
      (block) => scoreBlock(run, model, block, signal),
      signal,
    )) {
      await writeRows(file, rows, count, (key) => kept.push(key), keep);
      onItems(count.items);
    }
    const beside = keep === undefined ? {} : { [keepNameOf(output)]: kept.map((key) => `${key}\n`).join('') };
    const meta = { format: 'qalign-shard/1' as const, ...settingsOf(run, model.version), input };
    run.signal.throwIfAborted();
    if ((await file.commit({ ...meta, ...count }, beside)) === 'written')
      return { items: count.items, failed: count.failed, commit: 'written' };
    return (await presentResult(run, { shard, output }, model.version)) ?? gone(output);
  } finally {
    ended.abort();
    release();
    await file.discard();
  }
}

function gone(output: string): never {
  throw new QalignError('STORAGE_FAILED', `${output} appeared and vanished while it was written; repeat the command.`);
}

interface Row {
  readonly key: string | undefined;
  readonly outcomes: readonly ScoreOutcome[];
}

/** Scores the pictures of a block in one batch. Clips are computed alone. */
async function scoreBlock(
  { tasks, strict, limits }: ShardRun,
  { scorer, finish }: ShardScorer,
  block: readonly PendingSample[],
  signal: AbortSignal,
): Promise<Row[]> {
  const samples = await Promise.all(block.map((sample) => sample.open()));
  const group = new BatchGroup<unknown>(samples.length);
  return Promise.all(
    samples.map(async ({ key, source }, at) => {
      const outcomes = await scorer.score(source, { tasks, strict, limits, signal, place: { group, at } });
      for (const outcome of outcomes) requireOfInput(outcome);
      return { key, outcomes: outcomes.map(finish) };
    }),
  );
}

/** Errors of one item that its row reports. After any other error, another run of the shard can give another result. */
const ROW_ERRORS = [
  'MEDIA_NOT_FOUND',
  'MEDIA_UNREADABLE',
  'MEDIA_UNSUPPORTED',
  'MEDIA_CORRUPT',
  'MEDIA_ENCRYPTED',
  'MEDIA_DOUBTFUL',
  'MEDIA_TOO_LARGE',
  'MEDIA_TIMEOUT',
  'MEDIA_URL_FORBIDDEN',
  'MEDIA_URL_FAILED',
  'PATH_FORBIDDEN',
  'FFMPEG_CRASHED',
  'NON_FINITE',
  'SHARD_KEY_MISSING',
  'TASK_UNSUPPORTED',
];

function requireOfInput(outcome: ScoreOutcome): void {
  if (!isFailure(outcome) || ROW_ERRORS.includes(outcome.error.code)) return;
  const { code, message } = outcome.error;
  throw new QalignError(code as QalignError['code'], `${outcome.input}: ${message}`);
}

async function writeRows(
  file: ShardFile,
  rows: readonly Row[],
  count: { items: number; failed: number; rows: number },
  onKept: (key: string) => void,
  keep: Keep | undefined,
): Promise<void> {
  for (const { key, outcomes } of rows) {
    await file.write(key, outcomes);
    count.items += 1;
    count.rows += outcomes.length;
    if (outcomes.some(isFailure)) count.failed += 1;
    if (keep !== undefined && key !== undefined && outcomes.every((outcome) => keep.accepts(outcome))) onKept(key);
  }
}
