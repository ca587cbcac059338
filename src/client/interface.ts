import type { ConvertAnswer, ConvertBody, DatasetList } from '../api/datasets.js';
import type { DeletedJob, Job, JobBody, JobEvent, JobList, JobSettings, JobShard, JobStatus } from '../api/jobs.js';
import type { ModelList, ModelRow } from '../api/models.js';
import type { ScoreOutcome } from '../api/result.js';
import type {
  Evaluation,
  EvaluationBody,
  EvaluationList,
  RunEvent,
  TrainRun,
  TrainRunBody,
  TrainRunList,
} from '../api/runs.js';
import type { CompareAnswer, ItemSource, RankAnswer, ScoreAnswer, ScoredInput, ScoreFields } from '../api/score.js';

/** The bytes of a picture or clip. The name of a `File` is sent with it. */
export type ClientFile = Blob | Uint8Array | ArrayBuffer;

/**
 * A picture or clip: bytes, bytes with a name, a `url` that the service fetches, or a `path` that it reads. One list
 * can mix all kinds. Bytes are then sent as base64, within the limit of the service for JSON.
 */
export type ClientItem = ClientFile | { readonly data: ClientFile; readonly name?: string } | ItemSource;

/**
 * The items of a job: text with a path, URL or JSON object on each line, an array, or a file below the service's root.
 */
export type JobItems = string | Blob | readonly ItemSource[] | { readonly manifest_path: string } | ShardJob;

/** A job over shards: one result for each, in the folder `out`. */
export interface ShardJob extends Pick<JobBody, 'format' | 'keep' | 'limit'> {
  /** Patterns of shards, as of `expandShards`. */
  readonly shards: readonly string[];
  /** Folder of the results. */
  readonly out: string;
}

/** The address of the service, and the defaults of all calls. */
export interface ClientOptions {
  /** The URL of the service, e.g. `http://127.0.0.1:8080`. */
  readonly url: string;
  /**
   * An API key of `qalign keys create`.
   * @default none
   */
  readonly key?: string;
  /**
   * Replaces the global `fetch`.
   * @default the global `fetch`
   */
  readonly fetch?: typeof fetch;
  /** Maximum number of retries after 429 or 503. @default 3 */
  readonly retries?: number;
}

/** The options of every call. */
export interface CallOptions {
  /** Aborts the request, the wait before a retry, and the stream of the answer. */
  readonly signal?: AbortSignal;
  /**
   * For the same key, the service returns its first answer again. Calls that create something generate a key.
   * @default none
   */
  readonly idempotencyKey?: string;
  /**
   * W3C trace context, for the logs of the service.
   * @default none
   */
  readonly traceparent?: string;
  /**
   * Overrides `retries` of the client; 0 sends the request once.
   * @default those of the client
   */
  readonly retries?: number;
}

/** Receives the bytes sent and the size of the body, undefined for a stream. A retry starts again at 0. */
export type UploadProgress = (sent: number, total: number | undefined) => void;

/** Options of a call that sends pictures or clips. */
export interface UploadOptions extends CallOptions {
  /** Called with the bytes of the body that were sent, and in total. */
  readonly onUploadProgress?: UploadProgress;
}

/** Options of a stream of events. */
export interface EventOptions extends CallOptions {
  /**
   * Continues after this event.
   * @default all events
   */
  readonly lastEventId?: number;
}

/** One server-sent event and its id. */
export interface SentEvent<Data> {
  /** Number of the event, from 1; `lastEventId` continues after it. */
  readonly id: number;
  /** Content of the event. */
  readonly data: Data;
}

/** Selects the jobs of a list. */
export interface JobQuery {
  /**
   * Maximum number of jobs in one answer, 1 to 1000.
   * @default 50
   */
  readonly limit?: number;
  /**
   * Newest jobs to skip.
   * @default 0
   */
  readonly offset?: number;
  /**
   * Only jobs with this status.
   * @default all
   */
  readonly status?: JobStatus;
}

/** Scoring jobs of thousands to millions of items. */
export interface JobCalls {
  /** Creates a job. It starts when fewer jobs run than the service allows. */
  create(list: JobItems, settings?: JobSettings, extra?: UploadOptions): Promise<Job>;
  /** Jobs of the key, the newest first. */
  list(query?: JobQuery, extra?: CallOptions): Promise<JobList>;
  /** The state of a job. */
  get(id: string, extra?: CallOptions): Promise<Job>;
  /** Cancels a job and keeps its results. Does not change a job that has ended. */
  cancel(id: string, extra?: CallOptions): Promise<DeletedJob>;
  /** Deletes a job that has ended, with its list and results. Otherwise, cancels it; the answer states which. */
  delete(id: string, extra?: CallOptions): Promise<DeletedJob>;
  /** The results so far, in the order of the list. */
  results(id: string, extra?: CallOptions): AsyncGenerator<ScoreOutcome, void, undefined>;
  /** The ended shards so far of a job over shards: names of results, and why others failed. */
  shards(id: string, extra?: CallOptions): AsyncGenerator<JobShard, void, undefined>;
  /** The results so far, as one CSV text. */
  csv(id: string, extra?: CallOptions): Promise<string>;
  /** The events until the end; the last is `end`. */
  events(id: string, extra?: EventOptions): AsyncGenerator<SentEvent<JobEvent>, void, undefined>;
  /** Waits until the job has ended, and reconnects if the connection breaks. */
  wait(id: string, extra?: CallOptions): Promise<Job>;
}

/** Trainings and evaluations: `Made` is the body of a request, `One` is a run, `All` is a list of runs. */
export interface RunCalls<Made, One, All> {
  /** Starts a run. It waits for the runs before it. */
  create(body: Made, extra?: CallOptions): Promise<One>;
  /** Runs of the key, the newest first. */
  list(extra?: CallOptions): Promise<All>;
  /** The state of a run, with its resolved recipe. */
  get(id: string, extra?: CallOptions): Promise<One>;
  /** Stops a run after its current step, with a checkpoint. */
  stop(id: string, extra?: CallOptions): Promise<One>;
  /** Continues a stopped, failed or interrupted run. */
  resume(id: string, extra?: CallOptions): Promise<One>;
  /** The events until the end; the last is `end`. */
  events(id: string, extra?: EventOptions): AsyncGenerator<SentEvent<RunEvent>, void, undefined>;
}

/** Models that the service describes and has loaded. */
export interface ModelCalls {
  /** All models that the service describes. */
  list(extra?: CallOptions): Promise<ModelList>;
  /** Resolves when the model is loaded. */
  load(id: string, extra?: CallOptions): Promise<ModelRow>;
  /** Removes a model from memory after its running requests. */
  unload(id: string, extra?: CallOptions): Promise<ModelRow>;
}

/** Data sets that the service describes. */
export interface DatasetCalls {
  /** All datasets that the service describes. */
  list(extra?: CallOptions): Promise<DatasetList>;
  /** Converts label files below the root of the service to records. Resolves when they are written. */
  convert(body: ConvertBody, extra?: CallOptions): Promise<ConvertAnswer>;
}

/**
 * The service as typed functions. Every call throws `ServiceError` for an answer that is not 2xx. If its signal aborts,
 * it throws the reason of the signal. If the service cannot be reached, it throws the error of `fetch`.
 */
export interface QalignClient {
  /**
   * Scores pictures and clips. Each item has its own outcome.
   * @example const { items } = await client.score([file, { url: 'https://example.org/b.jpg' }]);
   * @throws ServiceError if no item was scored; its `answer` has the items
   */
  score(items: readonly ClientItem[], settings?: ScoreFields, extra?: UploadOptions): Promise<ScoreAnswer>;
  /** Like `score`, but yields each item as soon as it is finished, in any order. */
  scoreStream(
    items: readonly ClientItem[],
    settings?: ScoreFields,
    extra?: UploadOptions,
  ): AsyncGenerator<ScoredInput, void, undefined>;
  /**
   * Scores one file, bytes or a stream, which is sent without a form. A stream is sent only once, without retries.
   * @throws ServiceError if the file was not scored
   */
  scoreFile(
    file: ClientFile | ReadableStream<Uint8Array>,
    settings?: ScoreFields,
    extra?: UploadOptions & { readonly name?: string },
  ): Promise<ScoredInput>;
  /** Compares two items: which one is better, with its probability. */
  compare(first: ClientItem, second: ClientItem, settings?: ScoreFields, extra?: UploadOptions): Promise<CompareAnswer>;
  /** Ranks all items from best to worst. */
  rank(items: readonly ClientItem[], settings?: ScoreFields, extra?: UploadOptions): Promise<RankAnswer>;
  /** Lists, loads and unloads models. */
  readonly models: ModelCalls;
  /** Scoring jobs. */
  readonly jobs: JobCalls;
  /** Trainings. */
  readonly trainRuns: RunCalls<TrainRunBody, TrainRun, TrainRunList>;
  /** Evaluations. */
  readonly evaluations: RunCalls<EvaluationBody, Evaluation, EvaluationList>;
  /** Lists and converts datasets. */
  readonly datasets: DatasetCalls;
  /** Whether the service answers and has a model; never throws. */
  ready(extra?: CallOptions): Promise<boolean>;
}
