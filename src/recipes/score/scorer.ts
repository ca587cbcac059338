import type { Family, Preparation } from '../../../bridge/protocol/chat.js';
import type { Precision, WarmUp } from '../../../bridge/protocol/models.js';
import type { View } from '../../../bridge/protocol/views.js';
import type { OnStage } from '../../base/stage.js';
import type { Lane } from '../../base/lane.js';
import type {
  BatchPlace,
  BatchReport,
  ChatPrompt,
  ClipSource,
  EngineStats,
  ItemOptions,
  Visual,
} from '../../engine/index.js';
import type { ModelChoice } from '../../config/models.js';
import type { Logger } from '../../base/logger.js';
import type { DecodeBudget } from '../../media/budget/decode-budget.js';
import type { MediaLimits } from '../../media/limits.js';
import type { PrepareLoad } from '../../media/prepare-pool.js';
import type { Preparer } from '../../media/preparer.js';
import type { MediaSource } from '../../media/sources.js';
import type { Task, WantedFrameRule } from '../../prompts/subject.js';
import type { PromptTemplate } from '../../prompts/render.js';
import type { Scale } from '../../scoring/levels.js';
import type { MapOptions } from '../../scoring/quality-map.js';
import type { ScoreOutcome } from '../../api/result.js';

/** An input and its name in results, as returned by `expandSources`. */
export type ScoreSource = MediaSource;

/** The loaded model as the engine reports it. Other fields are ignored. */
export interface ScoringModel {
  readonly id: string;
  readonly revision: string;
  readonly weights_sha256: string;
  readonly precision: string;
  readonly device: string;
  readonly image_size: number;
  /** What the model sees of a picture; the whole picture if undefined. */
  readonly views?: readonly View[] | undefined;
  readonly parameters: number;
  /** The longest sequence that the model supports, in tokens; null if unknown. */
  readonly max_positions?: number | null;
  /** Only models of transformers have the following. */
  readonly family?: Family | undefined;
  /** How pictures are prepared that need not be square. */
  readonly preparation?: Preparation | undefined;
  /** Processor of pictures, and its version. */
  readonly processor?: string | undefined;
  /** Digest of processor, tokenizer, chat template and versions. */
  readonly processing_sha256?: string | undefined;
}

/** The answer to one prompt. `positions` is the length of the sequence of prompt and frames. */
export interface ScoringAnswer {
  readonly logits: number[];
  readonly logSumExp: number;
  readonly positions?: number;
  /** Of chat models: the text that the chat template made, and the token ids of the level words. */
  readonly rendered?: string;
  readonly levelTokens?: Readonly<Record<string, number[]>>;
}

export interface ScoringEngine {
  readonly model: ScoringModel;
  score(item: { visuals: Visual[]; prompts: (string | ChatPrompt)[] }, options?: ItemOptions): Promise<ScoringAnswer[]>;
  scoreClip(clip: ClipSource, options?: ItemOptions): Promise<ScoringAnswer[]>;
  ticket?(): number;
  stats?(): EngineStats;
  close(): Promise<void>;
}

/** The part of a Preparer that scoring uses. */
export type ScoringPreparer = Pick<Preparer, 'prepare' | 'windows' | 'open' | 'close'> &
  Partial<Pick<Preparer, 'load'>>;

/** Dependencies of a scorer: real ones come from `create-scorer.ts`, tests pass fakes. */
export interface ScorerParts {
  createEngine(choice: ModelChoice, options: ScorerOptions, warmUp: WarmUp | undefined): Promise<ScoringEngine>;
  createPreparer(options: ScorerOptions): ScoringPreparer;
  toSource(input: string | Uint8Array, options: ScorerOptions): Promise<ScoreSource>;
}

/** Model, device and preprocessing of a scorer. Omitted options take the defaults of the model. */
export interface ScorerOptions {
  /**
   * Name of a model in configs/models, a directory or a hub id.
   * @default 'nano'
   */
  readonly model?: string | undefined;
  /**
   * Base model of a LoRA adapter.
   * @default that of the model's description
   */
  readonly base?: string | undefined;
  /**
   * Commit, tag or branch of a hub model.
   * @default that of its description
   */
  readonly revision?: string | undefined;
  /**
   * `auto` (every CUDA device, otherwise the CPU), `cpu`, `cuda:0` or a list such as `0,1`. Each device gets one
   * worker. `remote:2` waits for two workers that connect to `listen`.
   * @default 'auto'
   */
  readonly device?: string | undefined;
  /**
   * Devices as a list, instead of `device`: `['cuda:0', 'cuda:1']`.
   * @default those of `device`
   */
  readonly devices?: readonly string[] | undefined;
  /**
   * `tcp://HOST:PORT` to which workers on other hosts connect. `bridgeKeys` is the head.json file that authenticates
   * them.
   * @default none
   */
  readonly listen?: string | undefined;
  /**
   * Path of the head.json of `qalign workers keys`; needed with `listen`.
   * @default none
   */
  readonly bridgeKeys?: string | undefined;
  /**
   * `auto` is fp32 on a CPU and bf16 on CUDA.
   * @default 'auto'
   */
  readonly precision?: Precision | undefined;
  /** Name of a prompt in configs/prompts, or a file; default: the prompt of the model. */
  readonly prompt?: string | undefined;
  /**
   * Scale of the scores.
   * @default 'mos5'
   */
  readonly scale?: Scale | undefined;
  /**
   * Rotate pictures by their EXIF orientation. The reference does not do this.
   * @default false
   */
  readonly autoOrient?: boolean | undefined;
  /**
   * Frames taken per second of video.
   * @default one per second at int(fps · i), as in the reference
   */
  readonly fps?: number | undefined;
  /**
   * Maximum number of frames per clip, at most 64 for models of transformers.
   * @default no limit; for models of transformers 8, or 64 with another `frameRule` than `eight`
   */
  readonly maxFrames?: number | undefined;
  /**
   * Selection of frames in clips with a variable rate. `auto` uses timestamps, `published` takes the frames int(fps ·
   * i), `eight` takes `maxFrames` pictures (8) from the first to the last.
   * @default 'auto'; 'eight' for models of transformers
   */
  readonly frameRule?: WantedFrameRule | undefined;
  /** Maximum number of frames per request to a worker; by default the engine chooses it. */
  readonly maxBatchFrames?: number | undefined;
  /**
   * Computes each frame and each prompt alone. A score then has the same bytes in every batch and in every run on the
   * same machine and versions. Otherwise a score differs with its batch: by less than 1e-5 in fp32, and by rounding
   * in lower precisions. It costs the speed of batches: a GPU computes one picture at a time. With nano on a CPU core
   * no speed was lost.
   * @default false
   */
  readonly deterministic?: boolean | undefined;
  /**
   * Time limit in milliseconds between two steps of a worker's computation; default 300 000. A worker that has answered
   * a batch and then exceeds it is killed and replaced.
   */
  readonly stepMs?: number | undefined;
  /**
   * Do not connect to the hub and install no packages.
   * @default false
   */
  readonly offline?: boolean | undefined;
  /**
   * Fetch inputs that are http(s) URLs.
   * @default false
   */
  readonly allowUrls?: boolean | undefined;
  /**
   * For services: directories of `model` and `base` → open directories that are read instead.
   * @default none
   */
  readonly held?: ReadonlyMap<string, string> | undefined;
  /** Memory budget for decoding pictures, shared with other scorers; by default each scorer has its own. */
  readonly decodeBudget?: DecodeBudget | undefined;
  /**
   * Takes log lines.
   * @default silentLogger
   */
  readonly log?: Logger | undefined;
  /**
   * Keep restarting workers that fail repeatedly, for services.
   * @default false
   */
  readonly revive?: boolean | undefined;
  /** Called with each batch that a worker has computed. */
  readonly onBatch?: ((batch: BatchReport) => void) | undefined;
  /** Reports setup and loading as text, with `done` and `total` if known. */
  readonly onProgress?: ((message: string, done?: number, total?: number) => void) | undefined;
  /** Ends loading; afterwards `close` ends the scorer. */
  readonly signal?: AbortSignal | undefined;
}

/** A path, an http(s) URL (if `allowUrls`), the bytes of a file, or a source of `expandSources`. */
export type ScoreInput = string | Uint8Array | ScoreSource;

/** Selects one task, so that the call returns one outcome instead of a list. */
export interface OneTask {
  /** The task to score. */
  readonly task: Task;
  /** Must be undefined if `task` is given. */
  readonly tasks?: undefined;
}

/** Options of one call of `score`. */
export interface ScoreOptions {
  /**
   * Tasks to score; default: quality if the model supports it, otherwise aesthetics. Use `task` to get one outcome
   * instead of a list.
   */
  readonly tasks?: readonly Task[] | undefined;
  /** Ends the call early. */
  readonly signal?: AbortSignal | undefined;
  /** Scale of this call; default: the scale of the scorer. */
  readonly scale?: Scale | undefined;
  /**
   * Name of a prompt in configs/prompts, or a file.
   * @default the prompt of the scorer
   */
  readonly prompt?: string | undefined;
  /**
   * An input with warnings fails with MEDIA_DOUBTFUL.
   * @default false
   */
  readonly strict?: boolean | undefined;
  /**
   * Adds a quality map to the results of pictures: the scores of their windows. It costs one score for each window, and
   * does not change the score of the picture. Clips have no map.
   * @default false
   */
  readonly map?: boolean | MapOptions | undefined;
  /**
   * Results of clips also have `frame_curve`: the score of the image question about each frame. The clip's own score
   * does not change. Results of pictures have no curve.
   * @default false
   */
  readonly perFrame?: boolean | undefined;
  /**
   * Instead of `perFrame`: the scores of the video question about each window of this many consecutive frames, 2 to 60.
   * @default none
   */
  readonly perFrameWindow?: number | undefined;
  /** Limits of decoding; default: DEFAULT_LIMITS. */
  readonly limits?: Partial<MediaLimits> | undefined;
  /** Interactive inputs have priority over bulk inputs; default: bulk. */
  readonly lane?: Lane | undefined;
  /**
   * Inputs of one ticket stay together in the queue; see Scorer.ticket.
   * @default a new ticket for each input
   */
  readonly ticket?: number | undefined;
  /**
   * A place in a group of pictures that are computed in one batch, with no others. For results with the same bytes in
   * every run. Clips do not use it.
   * @default none
   */
  readonly place?: BatchPlace | undefined;
  /**
   * W3C trace context, for the log of the worker.
   * @default none
   */
  readonly traceparent?: string | undefined;
  /** Called with the times that each input was decoded, waited and was computed. */
  readonly onStage?: OnStage | undefined;
}

/** Options of `scoreMany`: those of `score`, and the concurrency. */
export interface ScoreManyOptions extends ScoreOptions {
  /** Maximum number of inputs that are decoded or waiting at a time; default: `Scorer.width()`. */
  readonly inFlight?: number | undefined;
  /**
   * Selects the tasks of each input; an empty list skips the input.
   * @default `tasks` for each input
   */
  readonly tasksOf?: ((source: ScoreSource) => readonly Task[]) | undefined;
}

/** A loaded model that scores inputs until it is closed. Create it with `createScorer`; `await using` closes it. */
export interface Scorer extends AsyncDisposable {
  /** The loaded model: id, revision, digest of the weights, precision, device. */
  readonly model: ScoringModel;
  /** The resolved `model`: the location of its weights and its supported tasks. */
  readonly choice: ModelChoice;
  /** The prompt of calls that do not name one. */
  readonly prompt: PromptTemplate;
  /** Hash of everything that determines a score. Scores with the same version are comparable. */
  readonly scoreVersion: string;
  /** The tasks that are scored if the caller names none. */
  readonly defaultTasks: readonly Task[];
  /** Returns a ticket that keeps several inputs of one caller together in the queue. */
  ticket(): number;
  /**
   * Number of decoded or waiting pictures that keeps every worker busy: three batches per worker, at least 128. At 448
   * px, 128 pictures take 75 MB. The scorer never holds more.
   */
  width(): number;
  /** Waiting work and its expected cost. A part is undefined if the scorer has no real engine or preparer. */
  load(): { readonly engine: EngineStats | undefined; readonly preparing: PrepareLoad | undefined };
  /** Resident memory of each worker in bytes, from its last report. */
  workersRss(): number[];
  /**
   * Checks whether the model supports these options.
   * @throws QalignError TASK_UNSUPPORTED, CONFIG_NOT_FOUND, CONFIG_INVALID
   */
  check(options: ScoreOptions): Promise<void>;
  /**
   * Scores one input for one task. Returns a result, or a failure (see `isFailure`).
   * @example const outcome = await scorer.score('photo.jpg', { task: 'quality' });
   */
  score(input: ScoreInput, options: ScoreOptions & OneTask): Promise<ScoreOutcome>;
  /**
   * Scores one input. Returns one outcome per task, in the order of the tasks. All tasks share one decoding and one
   * visual encoding.
   */
  score(input: ScoreInput, options?: ScoreOptions): Promise<ScoreOutcome[]>;
  /** Scores many inputs for one task with bounded memory. Yields one outcome per input, in the order of the inputs. */
  scoreMany(
    inputs: AsyncIterable<ScoreInput> | Iterable<ScoreInput>,
    options: Omit<ScoreManyOptions, 'tasksOf'> & OneTask,
  ): AsyncGenerator<ScoreOutcome, void, undefined>;
  /**
   * Scores many inputs with bounded memory. Yields the outcomes of each input, in the order of the inputs (see
   * `orderedMap`).
   */
  scoreMany(
    inputs: AsyncIterable<ScoreInput> | Iterable<ScoreInput>,
    options?: ScoreManyOptions,
  ): AsyncGenerator<ScoreOutcome[], void, undefined>;
  /** Stops the workers and threads. Active calls fail with BRIDGE_CLOSED. */
  close(): Promise<void>;
}
