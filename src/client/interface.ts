import type { ConvertAnswer, ConvertBody, DatasetList } from '../api/datasets.js';
import type { DeletedJob, Job, JobEvent, JobList, JobSettings, JobStatus } from '../api/jobs.js';
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

/** Bytes of a picture or clip as this program has them; a `File` brings its name. */
export type ClientFile = Blob | Uint8Array | ArrayBuffer;

/**
 * A picture or clip: bytes, bytes with a name, or what the service fetches (`url`) or reads (`path`) itself. All kinds
 * may stand in one list: bytes then travel as base64, within the limit that the service has for JSON.
 */
export type ClientItem = ClientFile | { readonly data: ClientFile; readonly name?: string } | ItemSource;

/** What a job scores: text with a path, URL or JSON object on each line, items, or a list below the service's root. */
export type JobItems = string | Blob | readonly ItemSource[] | { readonly manifest_path: string };

/** Where the service is, and how it is called. */
export interface ClientOptions {
  /** Where the service is, e.g. `http://127.0.0.1:8080`. */
  readonly url: string;
  /** An API key of `qalign keys create`. */
  readonly key?: string;
  /** In place of the global `fetch`. */
  readonly fetch?: typeof fetch;
  /** How often a request is sent again after 429 or 503. @default 3 */
  readonly retries?: number;
}

/** What every call takes beside its own arguments. */
export interface CallOptions {
  /** Ends the request, the wait before it is sent again, and the stream of its answer. */
  readonly signal?: AbortSignal;
  /** The service gives the first answer again for the same key. Calls that create something make one by themselves. */
  readonly idempotencyKey?: string;
  /** W3C trace context, for the logs of the service. */
  readonly traceparent?: string;
  /** In place of the client's own number; 0 sends once. */
  readonly retries?: number;
}

/** Bytes of the body that were sent, of how many; the size of a stream is not known. Starts anew when sent again. */
export type UploadProgress = (sent: number, total: number | undefined) => void;

/** Options of a call that sends pictures or clips. */
export interface UploadOptions extends CallOptions {
  /** Told how much of the body was sent. */
  readonly onUploadProgress?: UploadProgress;
}

/** Options of a stream of events. */
export interface EventOptions extends CallOptions {
  /** Continues after this event. */
  readonly lastEventId?: number;
}

/** One server-sent event and its id. */
export interface SentEvent<Data> {
  /** Number of the event, from 1; `lastEventId` continues after it. */
  readonly id: number;
  /** What the event says. */
  readonly data: Data;
}

/** Which jobs a list has. */
export interface JobQuery {
  /** Jobs in one answer: 1 to 1000. */
  readonly limit?: number;
  /**
   * Newest jobs to skip.
   * @default 0
   */
  readonly offset?: number;
  /** Only jobs with this status. */
  readonly status?: JobStatus;
}

/** Scoring jobs of thousands to millions of items. */
export interface JobCalls {
  /** Makes a job; it starts when a place is free. */
  create(list: JobItems, settings?: JobSettings, extra?: UploadOptions): Promise<Job>;
  /** Jobs of the key, the newest first. */
  list(query?: JobQuery, extra?: CallOptions): Promise<JobList>;
  /** The state of a job. */
  get(id: string, extra?: CallOptions): Promise<Job>;
  /** Results so far stay; a job that has ended is left as it is. */
  cancel(id: string, extra?: CallOptions): Promise<DeletedJob>;
  /** Deletes a job that has ended, with its list and results; cancels one that has not, which the answer says. */
  delete(id: string, extra?: CallOptions): Promise<DeletedJob>;
  /** The results so far, in the order of the list. */
  results(id: string, extra?: CallOptions): AsyncGenerator<ScoreOutcome, void, undefined>;
  /** The results so far, as one CSV text. */
  csv(id: string, extra?: CallOptions): Promise<string>;
  /** Its events; the last is `end`. */
  events(id: string, extra?: EventOptions): AsyncGenerator<SentEvent<JobEvent>, void, undefined>;
  /** Follows the events until the job has ended, and connects again when the connection breaks. */
  wait(id: string, extra?: CallOptions): Promise<Job>;
}

/** Trainings and evaluations: `Made` asks for one, `One` is one of them, `All` their list. */
export interface RunCalls<Made, One, All> {
  /** Asks for one; it waits in order. */
  create(body: Made, extra?: CallOptions): Promise<One>;
  /** Those of the key, the newest first. */
  list(extra?: CallOptions): Promise<All>;
  /** Its state, with the resolved recipe. */
  get(id: string, extra?: CallOptions): Promise<One>;
  /** Ends it after its step, with a checkpoint. */
  stop(id: string, extra?: CallOptions): Promise<One>;
  /** Continues one that was stopped, failed or interrupted. */
  resume(id: string, extra?: CallOptions): Promise<One>;
  /** Its events; the last is `end`. */
  events(id: string, extra?: EventOptions): AsyncGenerator<SentEvent<RunEvent>, void, undefined>;
}

/** Models that the service describes and has loaded. */
export interface ModelCalls {
  /** All models that the service describes. */
  list(extra?: CallOptions): Promise<ModelList>;
  /** Answers when the model is loaded. */
  load(id: string, extra?: CallOptions): Promise<ModelRow>;
  /** Removes a model from memory after its running requests. */
  unload(id: string, extra?: CallOptions): Promise<ModelRow>;
}

/** Data sets that the service describes. */
export interface DatasetCalls {
  /** All datasets that the service describes. */
  list(extra?: CallOptions): Promise<DatasetList>;
  /** Label files below the root of the service to records; answers when they are written. */
  convert(body: ConvertBody, extra?: CallOptions): Promise<ConvertAnswer>;
}

/**
 * The service as typed functions. Every call throws `ServiceError` for an answer that is not 2xx, the reason of its
 * signal when that aborts, and what `fetch` throws when the service cannot be reached.
 */
export interface QalignClient {
  /**
   * Scores pictures and clips; each has its own outcome.
   * @example const { items } = await client.score([file, { url: 'https://example.org/b.jpg' }]);
   * @throws ServiceError when nothing was scored; its `answer` has the items
   */
  score(items: readonly ClientItem[], settings?: ScoreFields, extra?: UploadOptions): Promise<ScoreAnswer>;
  /** The same, with the items as they finish, in any order. */
  scoreStream(
    items: readonly ClientItem[],
    settings?: ScoreFields,
    extra?: UploadOptions,
  ): AsyncGenerator<ScoredInput, void, undefined>;
  /**
   * Scores one file that is sent as it is, without a form: bytes or a stream. A stream is sent once only.
   * @throws ServiceError when it was not scored
   */
  scoreFile(
    file: ClientFile | ReadableStream<Uint8Array>,
    settings?: ScoreFields,
    extra?: UploadOptions & { readonly name?: string },
  ): Promise<ScoredInput>;
  /** Which of two is better, and how surely. */
  compare(first: ClientItem, second: ClientItem, settings?: ScoreFields, extra?: UploadOptions): Promise<CompareAnswer>;
  /** All items from best to worst. */
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
