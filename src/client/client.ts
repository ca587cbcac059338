/** The boundary of src/client: requests over `fetch`, typed by src/api; it imports nothing at run time. */
import type { ErrorAnswer } from '../api/error.js';
import type { ScoreOutcome } from '../api/result.js';
import type { DeletedJob, Job, JobEvent, JobList, JobSettings, JobStatus } from '../api/jobs.js';
import type { ModelList, ModelRow } from '../api/models.js';
import type { ConvertAnswer, ConvertBody, DatasetList } from '../api/datasets.js';
import type {
  Evaluation,
  EvaluationBody,
  EvaluationList,
  TrainRun,
  TrainRunBody,
  TrainRunList,
  RunEvent,
} from '../api/runs.js';
import type { CompareAnswer, ItemSource, RankAnswer, ScoreAnswer, ScoredInput, ScoreFields } from '../api/score.js';

/** A picture or clip to send: bytes with a name, or what the service fetches or reads itself. */
export type ClientItem = { readonly data: Uint8Array | Blob; readonly name?: string } | ItemSource;

export interface ClientOptions {
  /** e.g. `http://127.0.0.1:8080` */
  readonly url: string;
  readonly key?: string;
  readonly fetch?: typeof fetch;
}

export interface CallOptions {
  readonly signal?: AbortSignal;
  /** The service gives the first answer again for the same key. */
  readonly idempotencyKey?: string;
  readonly traceparent?: string;
}

/** Any answer that is not 2xx. `answer` is the body as it came: for a score it has the items too. */
export class ServiceError extends Error {
  override readonly name = 'ServiceError';
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    readonly retryAfterS: number | undefined,
    readonly answer: unknown,
  ) {
    super(message);
  }
}

export type QalignClient = ReturnType<typeof createClient>;

/** The service as typed functions, over `fetch`. Works in Node and in browsers. */
export function createClient(options: ClientOptions) {
  const send = createSender(options);
  const json: JsonSender = async <T>(...call: Parameters<JsonSender>) => (await send(...call)).json() as Promise<T>;
  return {
    ...scoreCalls(send, json),
    models: modelCalls(json),
    jobs: jobCalls(send, json),
    trainRuns: runCalls<TrainRunBody, TrainRun, TrainRunList>(send, json, '/v1/train_runs'),
    evaluations: runCalls<EvaluationBody, Evaluation, EvaluationList>(send, json, '/v1/evaluations'),
    datasets: {
      list: (extra?: CallOptions): Promise<DatasetList> => json('GET', '/v1/datasets', undefined, extra),
      convert: (body: ConvertBody, extra?: CallOptions): Promise<ConvertAnswer> =>
        json('POST', '/v1/datasets/convert', body, extra),
    },
    ready: async (): Promise<boolean> =>
      send('GET', '/readyz', undefined, {}).then(
        () => true,
        () => false,
      ),
  };
}

const scoreCalls = (send: Sender, json: JsonSender) => ({
  /** @throws ServiceError when nothing was scored; its `answer` has the items */
  score: (items: readonly ClientItem[], settings: ScoreFields = {}, extra: CallOptions = {}): Promise<ScoreAnswer> =>
    json('POST', '/v1/score', toBody(items, settings), extra),
  /** The items as they finish. */
  async *scoreStream(
    items: readonly ClientItem[],
    settings: ScoreFields = {},
    extra: CallOptions = {},
  ): AsyncGenerator<ScoredInput, void, undefined> {
    const accept = { Accept: 'application/x-ndjson' };
    yield* jsonLines<ScoredInput>(await send('POST', '/v1/score', toBody(items, settings), extra, accept));
  },
  compare: (
    first: ClientItem,
    second: ClientItem,
    settings: ScoreFields = {},
    extra: CallOptions = {},
  ): Promise<CompareAnswer> => json('POST', '/v1/compare', toBody([first, second], settings), extra),
  rank: (items: readonly ClientItem[], settings: ScoreFields = {}, extra: CallOptions = {}): Promise<RankAnswer> =>
    json('POST', '/v1/rank', toBody(items, settings), extra),
});

const modelCalls = (json: JsonSender) => ({
  list: (extra?: CallOptions): Promise<ModelList> => json('GET', '/v1/models', undefined, extra),
  load: (id: string, extra?: CallOptions): Promise<ModelRow> =>
    json('POST', `/v1/models/${encodeURIComponent(id)}/load`, undefined, extra),
  unload: (id: string, extra?: CallOptions): Promise<ModelRow> =>
    json('POST', `/v1/models/${encodeURIComponent(id)}/unload`, undefined, extra),
});

const jobCalls = (send: Sender, json: JsonSender) => ({
  /** A list (text with a path, URL or JSON object on each line) or items. */
  create: (list: JobItems, settings: JobSettings = {}, extra: CallOptions = {}): Promise<Job> =>
    createJob(send, list, settings, extra),
  list: (query: { limit?: number; offset?: number; status?: JobStatus } = {}, extra?: CallOptions): Promise<JobList> =>
    json('GET', `/v1/jobs${toQuery(query)}`, undefined, extra),
  get: (id: string, extra?: CallOptions): Promise<Job> => json('GET', `/v1/jobs/${id}`, undefined, extra),
  /** Results so far stay; a job that has ended is left as it is. */
  cancel: (id: string, extra?: CallOptions): Promise<DeletedJob> =>
    json('DELETE', `/v1/jobs/${id}?cancel_only=true`, undefined, extra),
  /** Deletes a job that has ended, with its list and results; cancels one that has not, which the answer says. */
  delete: (id: string, extra?: CallOptions): Promise<DeletedJob> => json('DELETE', `/v1/jobs/${id}`, undefined, extra),
  async *results(id: string, extra: CallOptions = {}): AsyncGenerator<ScoreOutcome, void, undefined> {
    yield* jsonLines<ScoreOutcome>(await send('GET', `/v1/jobs/${id}/results`, undefined, extra));
  },
  csv: async (id: string, extra?: CallOptions): Promise<string> =>
    (await send('GET', `/v1/jobs/${id}/results?format=csv`, undefined, extra)).text(),
  events: (id: string, extra: EventOptions = {}) => events<JobEvent>(send, `/v1/jobs/${id}/events`, extra),
  /** Follows the events until the job has ended, and connects again when the connection breaks. */
  wait: (id: string, extra: CallOptions = {}): Promise<Job> => waitForJob(send, json, id, extra),
});

/** Trainings and evaluations: `Made` asks for one, `One` is one of them, `All` their list. */
const runCalls = <Made extends object, One, All>(send: Sender, json: JsonSender, path: string) => ({
  create: (body: Made, extra?: CallOptions): Promise<One> => json('POST', path, body, extra),
  list: (extra?: CallOptions): Promise<All> => json('GET', path, undefined, extra),
  get: (id: string, extra?: CallOptions): Promise<One> => json('GET', `${path}/${id}`, undefined, extra),
  stop: (id: string, extra?: CallOptions): Promise<One> => json('POST', `${path}/${id}/stop`, undefined, extra),
  resume: (id: string, extra?: CallOptions): Promise<One> => json('POST', `${path}/${id}/resume`, undefined, extra),
  events: (id: string, extra: EventOptions = {}) => events<RunEvent>(send, `${path}/${id}/events`, extra),
});

async function waitForJob(send: Sender, json: JsonSender, id: string, extra: CallOptions): Promise<Job> {
  const path = `/v1/jobs/${id}`;
  for (let last: number | undefined; ;) {
    try {
      const after = { ...extra, ...(last === undefined ? {} : { lastEventId: last }) };
      for await (const { id: seen } of events<JobEvent>(send, `${path}/events`, after)) last = seen;
      const job = await json<Job>('GET', path, undefined, extra);
      if (job.finished_at !== null) return job;
    } catch (error) {
      extra.signal?.throwIfAborted();
      if (error instanceof ServiceError && error.status < 500) throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
}

type Body = string | FormData | Blob | ReadableStream;
type Sender = (
  method: string,
  path: string,
  body: Body | object | undefined,
  extra: CallOptions | undefined,
  headers?: Record<string, string>,
) => Promise<Response>;

/** The same for an answer that is JSON; the type of the answer is what the API says of the path. */
type JsonSender = <T>(
  method: string,
  path: string,
  body: Body | object | undefined,
  extra: CallOptions | undefined,
) => Promise<T>;

function createSender({ url, key, fetch: fetcher = fetch }: ClientOptions): Sender {
  const base = url.replace(/\/+$/, '');
  return async (method, path, body, { signal, idempotencyKey, traceparent } = {}, headers = {}) => {
    const plain =
      body !== undefined &&
      !(body instanceof FormData) &&
      !(body instanceof Blob) &&
      typeof body !== 'string' &&
      !(body instanceof ReadableStream);
    const response = await fetcher(base + path, {
      method,
      headers: {
        ...(key === undefined ? {} : { Authorization: `Bearer ${key}` }),
        ...(idempotencyKey === undefined ? {} : { 'Idempotency-Key': idempotencyKey }),
        ...(traceparent === undefined ? {} : { traceparent }),
        ...(plain ? { 'Content-Type': 'application/json' } : {}),
        ...headers,
      },
      ...(body === undefined ? {} : { body: plain ? JSON.stringify(body) : (body as Body) }),
      ...(signal === undefined ? {} : { signal }),
    });
    if (response.ok) return response;
    throw await toServiceError(response);
  };
}

async function toServiceError(response: Response): Promise<ServiceError> {
  const text = await response.text();
  let answer: unknown = text;
  try {
    answer = JSON.parse(text);
  } catch {
    // a proxy's page: kept as it is
  }
  const error = (answer as Partial<ErrorAnswer> | null)?.error;
  const retryAfter = Number(response.headers.get('retry-after') ?? NaN);
  return new ServiceError(
    response.status,
    error?.code ?? 'UNKNOWN',
    error?.message ?? `The service answered ${response.status}.`,
    Number.isFinite(retryAfter) ? retryAfter : undefined,
    answer,
  );
}

/** Bytes go as a form; otherwise all is JSON. */
function toBody(items: readonly ClientItem[], settings: ScoreFields): FormData | object {
  if (!items.some((item) => 'data' in item)) return { items, ...settings };
  const form = new FormData();
  for (const [key, value] of Object.entries(settings))
    if (value !== undefined) form.append(key, Array.isArray(value) ? value.join(',') : String(value));
  items.forEach((item, index) => {
    if (!('data' in item)) throw new TypeError('Bytes cannot be mixed with base64, URLs or paths in one request.');
    form.append(
      'file',
      item.data instanceof Blob ? item.data : new Blob([new Uint8Array(item.data)]),
      item.name ?? `item ${index + 1}`,
    );
  });
  return form;
}

type JobItems = string | Blob | readonly ItemSource[] | { manifest_path: string };

async function createJob(send: Sender, list: JobItems, settings: JobSettings, extra: CallOptions): Promise<Job> {
  const uploaded = typeof list === 'string' || list instanceof Blob;
  const body = uploaded ? list : Array.isArray(list) ? { items: list, ...settings } : { ...list, ...settings };
  const response = await send(
    'POST',
    `/v1/jobs${uploaded ? toQuery(settings) : ''}`,
    body,
    extra,
    uploaded ? { 'Content-Type': 'application/x-ndjson' } : {},
  );
  return response.json() as Promise<Job>;
}

function toQuery(values: Readonly<Record<string, string | number | boolean | readonly string[] | undefined>>): string {
  const words = new URLSearchParams();
  // a list is joined by commas
  for (const [key, value] of Object.entries(values)) if (value !== undefined) words.append(key, String(value));
  return words.size === 0 ? '' : `?${words.toString()}`;
}

export interface EventOptions extends CallOptions {
  readonly lastEventId?: number;
}

/** Server-sent events with their ids, until the service ends the stream. */
async function* events<T>(
  send: Sender,
  path: string,
  { lastEventId, ...extra }: EventOptions,
): AsyncGenerator<{ id: number; data: T }, void, undefined> {
  const response = await send('GET', path, undefined, extra, {
    Accept: 'text/event-stream',
    ...(lastEventId === undefined ? {} : { 'Last-Event-ID': String(lastEventId) }),
  });
  let id = 0;
  for await (const line of lines(response)) {
    if (line.startsWith('id: ')) id = Number(line.slice(4));
    if (line.startsWith('data: ')) yield { id, data: JSON.parse(line.slice(6)) as T };
  }
}

async function* lines(response: Response): AsyncGenerator<string, void, undefined> {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const chunk of response.body as unknown as AsyncIterable<Uint8Array>) {
    const parts = (rest + decoder.decode(chunk, { stream: true })).split('\n');
    rest = parts.pop() ?? '';
    yield* parts;
  }
  if (rest !== '') yield rest;
}

async function* jsonLines<T>(response: Response): AsyncGenerator<T, void, undefined> {
  for await (const line of lines(response)) if (line !== '') yield JSON.parse(line) as T;
}

export type { ConvertAnswer, ConvertBody, DatasetList, Evaluation, EvaluationBody, TrainRun, TrainRunBody };
/** `WorkEvent` is the earlier name. */
export type { RunEvent, RunEvent as WorkEvent };
export type {
  CompareAnswer,
  DeletedJob,
  Job,
  JobEvent,
  JobList,
  JobSettings,
  ScoreOutcome,
  ItemSource,
  ModelList,
  ModelRow,
  RankAnswer,
  ScoreAnswer,
  ScoredInput,
  ScoreFields,
};
