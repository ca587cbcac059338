import type { OnStage } from '../../base/stage.js';
import type { Lane } from '../../base/lane.js';
import type { BatchReport, ClipSource, EngineStats, ItemOptions } from '../../engine/index.js';
import type { ModelChoice } from '../../config/models.js';
import type { Logger } from '../../base/logger.js';
import type { DecodeBudget } from '../../media/budget/decode-budget.js';
import type { MediaLimits } from '../../media/limits.js';
import type { PrepareLoad } from '../../media/prepare-pool.js';
import type { Preparer } from '../../media/preparer.js';
import type { MediaSource } from '../../media/sources.js';
import type { Task } from '../../prompts/subject.js';
import type { PromptTemplate } from '../../prompts/render.js';
import type { Scale } from '../../scoring/levels.js';
import type { ScoreOutcome } from '../../api/result.js';

/** An input with the name that results carry; `expandSources` gives them. */
export type ScoreSource = MediaSource;

/** The engine's view of the loaded model; the rest of its fields are passed over. */
export interface ScoringModel {
  readonly id: string;
  readonly revision: string;
  readonly weights_sha256: string;
  readonly precision: string;
  readonly device: string;
  readonly image_size: number;
  readonly parameters: number;
  /** The longest sequence that the model was made for, null where that is not known. */
  readonly max_positions?: number | null;
}

/** Of one prompt. `positions` is what prompt and frames took of the sequence. */
export interface ScoringAnswer {
  readonly logits: number[];
  readonly logSumExp: number;
  readonly positions?: number;
}

export interface ScoringEngine {
  readonly model: ScoringModel;
  score(
    item: { visuals: { frames: number; data: Uint8Array }[]; prompts: string[] },
    options?: ItemOptions,
  ): Promise<ScoringAnswer[]>;
  scoreClip(clip: ClipSource, options?: ItemOptions): Promise<ScoringAnswer[]>;
  ticket?(): number;
  stats?(): EngineStats;
  close(): Promise<void>;
}

/** The part of a Preparer that scoring uses. */
export type ScoringPreparer = Pick<Preparer, 'prepare' | 'open' | 'close'> & Partial<Pick<Preparer, 'load'>>;

/** What a scorer stands on; real ones come from `create-scorer.ts`, tests bring their own. */
export interface ScorerParts {
  createEngine(choice: ModelChoice, options: ScorerOptions): Promise<ScoringEngine>;
  createPreparer(options: ScorerOptions): ScoringPreparer;
  toSource(input: string | Uint8Array, options: ScorerOptions): Promise<ScoreSource>;
}

/** Model, device and preprocessing of a scorer; what they leave open, the model decides. */
export interface ScorerOptions {
  /** A name of configs/models, a directory or a hub id. */
  readonly model?: string | undefined;
  /** Base model of a LoRA adapter. */
  readonly base?: string | undefined;
  readonly revision?: string | undefined;
  /**
   * `auto` (the first CUDA device, else the CPU), `cpu`, `cuda:0`, `0,1`: one worker each; `remote:2`: two that connect
   * to `listen`.
   */
  readonly device?: string | undefined;
  /** The same as a list: `['cuda:0', 'cuda:1']`. */
  readonly devices?: readonly string[] | undefined;
  /**
   * `tcp://HOST:PORT` for workers of other hosts, which `bridgeKeys` (a head.json of `qalign workers keys`) lets in.
   */
  readonly listen?: string | undefined;
  readonly bridgeKeys?: string | undefined;
  /** auto: fp32 on a CPU, bf16 on CUDA. */
  readonly precision?: 'auto' | 'fp32' | 'bf16' | 'fp16' | undefined;
  /** A name of configs/prompts or a file; the model's own by default. */
  readonly prompt?: string | undefined;
  readonly scale?: Scale | undefined;
  readonly autoOrient?: boolean | undefined;
  readonly fps?: number | undefined;
  readonly maxFrames?: number | undefined;
  /** `published`: frames int(fps · i) also where the rate of a clip varies; `auto` goes by time stamps there. */
  readonly frameRule?: 'auto' | 'published' | undefined;
  /** Frames in one request to a worker at most; the engine's own choice by default. */
  readonly maxBatchFrames?: number | undefined;
  /**
   * Each item is computed alone. Its score then has the same bytes in every run on the same machine and versions,
   * whatever else is scored. Without it scores may differ in the 7th digit by what a batch is made of. The cost is the
   * speed of batches: nothing was lost with nano on a CPU core; a GPU computes one picture at a time.
   */
  readonly deterministic?: boolean | undefined;
  /**
   * A worker that has answered a batch and then makes no step of its computation for so long is killed and replaced;
   * 300 000 by default.
   */
  readonly stepMs?: number | undefined;
  readonly offline?: boolean | undefined;
  readonly allowUrls?: boolean | undefined;
  /** Folders of `model` and `base` → open ones that are read in their place: for services. */
  readonly held?: ReadonlyMap<string, string> | undefined;
  /** Memory for decoding pictures, shared with other scorers; one of its own by default. */
  readonly decodeBudget?: DecodeBudget | undefined;
  readonly log?: Logger | undefined;
  /** Workers that fail again and again are tried on: for services. */
  readonly revive?: boolean | undefined;
  readonly onBatch?: ((batch: BatchReport) => void) | undefined;
  /** Set-up and loading, in words and, where known, in numbers. */
  readonly onProgress?: ((message: string, done?: number, total?: number) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** A path, an http(s) URL (if allowed), the bytes, or what `expandSources` gives. */
export type ScoreInput = string | Uint8Array | ScoreSource;

/** A call for one task, whose answer is one outcome and no list. */
export interface OneTask {
  readonly task: Task;
  readonly tasks?: undefined;
}

/** Options of one call of `score`. */
export interface ScoreOptions {
  /** What is rated; without it what the model does first. For one task, `task` gives one outcome in place of a list. */
  readonly tasks?: readonly Task[] | undefined;
  readonly signal?: AbortSignal | undefined;
  /** In place of the scorer's own: a scale, the name of a prompt. */
  readonly scale?: Scale | undefined;
  readonly prompt?: string | undefined;
  /** An input with warnings fails with MEDIA_DOUBTFUL instead of being scored. */
  readonly strict?: boolean | undefined;
  /** What decoding may cost; DEFAULT_LIMITS otherwise. */
  readonly limits?: Partial<MediaLimits> | undefined;
  /** Interactive goes before bulk, which is the default. */
  readonly lane?: Lane | undefined;
  /** Inputs of one ticket stay together in the queue; see Scorer.ticket. */
  readonly ticket?: number | undefined;
  readonly traceparent?: string | undefined;
  /** Told how long each input was decoded, waited and was computed. */
  readonly onStage?: OnStage | undefined;
}

/** Options of `scoreMany`: those of `score`, and how many inputs are under way. */
export interface ScoreManyOptions extends ScoreOptions {
  /** Inputs decoded or waiting for the model at a time; by default as many as `Scorer.width` says. */
  readonly inFlight?: number | undefined;
  /** The tasks of one input, where they differ; an empty list passes the input over. */
  readonly tasksOf?: ((source: ScoreSource) => readonly Task[]) | undefined;
}

/** A loaded model that scores until it is closed. `createScorer` makes it, `await using` closes it. */
export interface Scorer extends AsyncDisposable {
  readonly model: ScoringModel;
  readonly choice: ModelChoice;
  readonly prompt: PromptTemplate;
  readonly scoreVersion: string;
  /** What is rated when no task is named. */
  readonly defaultTasks: readonly Task[];
  /** A place in the queue for several inputs of one caller. */
  ticket(): number;
  /**
   * So many pictures decoded or waiting keep every worker busy: three batches each, and 128 at least (75 MB of pixels
   * at 448 px). More are never held.
   */
  width(): number;
  /** What waits and what it will cost; parts are missing where a scorer has no real engine or preparer. */
  load(): { readonly engine: EngineStats | undefined; readonly preparing: PrepareLoad | undefined };
  /** Resident memory of each worker in bytes, as it last told. */
  workersRss(): number[];
  /**
   * Whether inputs may be asked for with these at all. @throws QalignError TASK_UNSUPPORTED, CONFIG_NOT_FOUND,
   * CONFIG_INVALID
   */
  check(options: ScoreOptions): Promise<void>;
  /**
   * The outcome of one input for one task: a result, or a failure that `isFailure` tells.
   * @example const outcome = await scorer.score('photo.jpg', { task: 'quality' });
   */
  score(input: ScoreInput, options: ScoreOptions & OneTask): Promise<ScoreOutcome>;
  /** One outcome a task, in the order of the tasks. Several tasks share one decoding and one visual encoding. */
  score(input: ScoreInput, options?: ScoreOptions): Promise<ScoreOutcome[]>;
  /** The outcome of every input for one task, in the order of the inputs, with bounded memory. */
  scoreMany(
    inputs: AsyncIterable<ScoreInput> | Iterable<ScoreInput>,
    options: Omit<ScoreManyOptions, 'tasksOf'> & OneTask,
  ): AsyncGenerator<ScoreOutcome, void, undefined>;
  /** The outcomes of every input, in the order of the inputs, with bounded memory (see orderedMap). */
  scoreMany(
    inputs: AsyncIterable<ScoreInput> | Iterable<ScoreInput>,
    options?: ScoreManyOptions,
  ): AsyncGenerator<ScoreOutcome[], void, undefined>;
  close(): Promise<void>;
}
