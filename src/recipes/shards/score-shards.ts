import { QalignError } from '../../base/errors.js';
import type { Task } from '../../prompts/subject.js';
import type { Scorer, ScorerOptions } from '../score/scorer.js';
import type { ShardEvent, ShardLine } from './events.js';
import { expandShards, parsePart, partOf } from './expand.js';
import { parseKeep, type Keep } from './keep.js';
import { entryOf, openManifest } from './manifest.js';
import { readyEvent, shardScorerOf, type Finisher } from './model.js';
import type { ShardFormat } from './names.js';
import { runShards } from './run-shards.js';
import type { ShardRun, ShardScorer } from './score-shard.js';
import { createStores } from './store/open-stores.js';
import { runShardWorker } from './worker.js';

/** Options of `scoreShards`: the shards, their results, and the model as in `createScorer`. */
export interface ScoreShardsOptions extends ScorerOptions {
  /** Patterns of shards; see `qalign score --shards`. */
  readonly shards: readonly string[];
  /** Folder of the results, local or `s3://BUCKET/FOLDER`. */
  readonly out: string;
  /**
   * Format of the results.
   * @default 'parquet'
   */
  readonly format?: ShardFormat | undefined;
  /**
   * Tasks of each item.
   * @default quality if the model supports it, otherwise aesthetics
   */
  readonly tasks?: readonly Task[] | undefined;
  /**
   * Items with warnings get an error instead of a score.
   * @default false
   */
  readonly strict?: boolean | undefined;
  /** Most items that are read of each shard; default: all. */
  readonly limit?: number | undefined;
  /**
   * Condition of the key lists, such as `score>=3.5`.
   * @default no key lists
   */
  readonly keep?: string | undefined;
  /** A part of the shards, as `3/16`: the third, the nineteenth and so on; default: all. */
  readonly part?: string | undefined;
  /** Called with each event, in order. */
  readonly onEvent?: ((event: ShardEvent) => void | Promise<void>) | undefined;
}

/** What became of a run over shards. */
export interface ShardsSummary {
  /** Number of shards of the run. */
  readonly shards: number;
  /** Shards whose results this run wrote. */
  readonly written: number;
  /** Shards whose results were there before. */
  readonly present: number;
  /** Shards without a result. */
  readonly failed: number;
  /** Items of written and present results. */
  readonly items: number;
  /** Items among them that have an error instead of a score. */
  readonly failedItems: number;
  /** Wall-clock time in seconds, including the load of the model. */
  readonly seconds: number;
}

/** How the model is made; the command passes a worker process that has started before. */
export interface ShardParts {
  createScorer(options: ScorerOptions): Promise<Scorer>;
  /** The calibration for a score_version. @default none */
  readonly finisherOf?: ((scoreVersion: string) => Finisher | undefined) | undefined;
  /** Called when the shards are known. @default nothing */
  readonly onShards?: ((shards: readonly ShardLine[]) => void) | undefined;
}

/**
 * Scores the shards of a data set, with one result for each. Results appear when they are complete, and complete
 * results of the same score_version are not computed again.
 *
 * @throws QalignError USAGE, SHARD_NOT_FOUND, OUTPUT_UNWRITABLE, errors of `createScorer`; an error of one shard is an
 *   event
 * @example
 * await scoreShards({ shards: ['data/{00000..00099}.tar'], out: 'scores/', model: 'nano' });
 */
export async function scoreShards(options: ScoreShardsOptions): Promise<ShardsSummary> {
  const { createScorer } = await import('../score/create-scorer.js');
  return scoreShardsWith({ createScorer }, options);
}

/** `scoreShards` with other parts. */
export async function scoreShardsWith(parts: ShardParts, options: ScoreShardsOptions): Promise<ShardsSummary> {
  const started = performance.now();
  const { shards: patterns, out, onEvent = () => {}, signal = new AbortController().signal } = options;
  const part = options.part === undefined ? undefined : parsePart(options.part);
  const opened = openRun(parts, options, signal);
  try {
    const shards = partOf(await expandShards(patterns, { format: opened.run.format, signal }), part);
    parts.onShards?.(shards);
    const manifest = await openManifest(opened.run.stores, out, part);
    const count = { written: 0, present: 0, failed: 0, items: 0, failedItems: 0 };
    const onEach = async (event: ShardEvent): Promise<void> => {
      if (event.event === 'failed') count.failed += 1;
      if (event.event === 'done') {
        count[event.commit] += 1;
        count.items += event.items;
        count.failedItems += event.failed;
      }
      if (event.event === 'failed' || event.event === 'done') await manifest.add(entryOf(event));
      await onEvent(event);
    };
    try {
      if (shards.length > 0) await opened.start();
      await runShards(shards, opened.run, { ...opened, out, onEvent: onEach });
    } finally {
      await manifest.save();
    }
    return { shards: shards.length, ...count, seconds: Math.round(performance.now() - started) / 1000 };
  } finally {
    await opened.close();
  }
}

/** Options of a shard worker: as of `scoreShards`, without shards. */
export interface ShardWorkerOptions extends Omit<ScoreShardsOptions, 'shards' | 'part' | 'onEvent'> {
  /** Lines of shards. */
  readonly input: AsyncIterable<Uint8Array>;
  readonly write: (line: string) => Promise<void>;
  readonly signal: AbortSignal;
}

/** Serves as a shard worker until its input ends; see `events.ts`. Returns the exit code. */
export async function serveShards(parts: ShardParts, options: ShardWorkerOptions): Promise<number> {
  const { out, input, write, signal } = options;
  const opened = openRun(parts, options, signal);
  try {
    return await runShardWorker(opened.run, signal, { ...opened, out, input, write });
  } finally {
    await opened.close();
  }
}

interface OpenedRun {
  readonly run: ShardRun;
  model(): Promise<ShardScorer>;
  version(output: string): Promise<string>;
  /** Loads the model. */
  start(): Promise<void>;
  ready(): Promise<ShardEvent>;
  close(): Promise<void>;
}

type RunOptions = Omit<ScoreShardsOptions, 'shards'>;

function openRun(parts: ShardParts, options: RunOptions, signal: AbortSignal): OpenedRun {
  const {
    out: _out,
    format = 'parquet',
    tasks,
    strict = false,
    limit,
    keep,
    part: _part,
    onEvent: _,
    ...own
  } = options;
  const condition = keep === undefined ? undefined : parseKeep(keep);
  const {
    shards: _shards,
    input: _input,
    write: _write,
    ...scorerOptions
  } = own as Partial<ScoreShardsOptions & ShardWorkerOptions>;
  let loaded: Promise<{ readonly scorer: Scorer; readonly model: ShardScorer }> | undefined;
  const load = (): NonNullable<typeof loaded> => {
    loaded ??= parts.createScorer({ ...scorerOptions, signal }).then(async (scorer) => {
      try {
        return { scorer, model: shardScorerOf(scorer, parts.finisherOf?.(scorer.scoreVersion)) };
      } catch (error) {
        await scorer.close();
        throw error;
      }
    });
    return loaded;
  };
  const run = {
    ...{ stores: createStores({ signal }), format, strict, limit, signal },
    ...{ keep: requireOneTask(condition, tasks), allowUrls: options.allowUrls === true },
    tasks: tasks ?? [],
  };
  const start = async (): Promise<void> => {
    const { scorer } = await load();
    if (run.tasks.length === 0) run.tasks = scorer.defaultTasks;
  };
  return {
    run,
    model: async () => (await load()).model,
    version: async () => (await load()).model.version,
    start,
    async ready() {
      await start();
      const { scorer, model } = await load();
      return readyEvent(scorer, model.version);
    },
    async close() {
      await loaded?.then(
        ({ scorer }) => scorer.close(),
        () => undefined,
      );
      await run.stores.close();
    },
  };
}

/** @throws QalignError USAGE for a condition with several tasks */
export function requireOneTask(keep: Keep | undefined, tasks: readonly Task[] | undefined): Keep | undefined {
  if (keep === undefined || (tasks?.length ?? 1) < 2) return keep;
  throw new QalignError('USAGE', 'A condition of key lists takes one task; score each task into its own folder.');
}
