import type { ErrorAnswer } from '../api/error.js';
import type { ScoreOutcome } from '../api/result.js';
import type { Job, JobEvent, JobList, JobSettings, JobStatus } from '../api/jobs.js';
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
  const json = async <T>(method: string, path: string, body?: Body | object, extra: CallOptions = {}): Promise<T> =>
    (await send(method, path, body, extra)).json() as Promise<T>;
  const scored =
    (path: string) =>
    <T>(items: readonly ClientItem[], settings: ScoreFields, extra: CallOptions): Promise<T> =>
      json<T>('POST', path, toBody(items, settings), extra);
  const run = <T>(path: string) => ({
    get: (id: string, extra?: CallOptions) => json<T>('GET', `${path}/${id}`, undefined, extra),
    stop: (id: string, extra?: CallOptions) => json<T>('POST', `${path}/${id}/stop`, undefined, extra),
    resume: (id: string, extra?: CallOptions) => json<T>('POST', `${path}/${id}/resume`, undefined, extra),
    events: (id: string, extra: EventOptions = {}) => events<RunEvent>(send, `${path}/${id}/events`, extra),
  });
  return {
    /** @throws ServiceError when nothing was scored; its `answer` has the items */
    score: (items: readonly ClientItem[], settings: ScoreFields = {}, extra: CallOptions = {}) =>
      scored('/v1/score')<ScoreAnswer>(items, settings, extra),
    /** The items as they finish. */
    async *scoreStream(
      items: readonly ClientItem[],
      settings: ScoreFields = {},
      extra: CallOptions = {},
    ): AsyncGenerator<ScoredInput, void, undefined> {
      const response = await send('POST', '/v1/score', toBody(items, settings), extra, {
        Accept: 'application/x-ndjson',
      });
      for await (const line of lines(response)) if (line !== '') yield JSON.parse(line) as ScoredInput;
    },
    compare: (first: ClientItem, second: ClientItem, settings: ScoreFields = {}, extra: CallOptions = {}) =>
      scored('/v1/compare')<CompareAnswer>([first, second], settings, extra),
    rank: (items: readonly ClientItem[], settings: ScoreFields = {}, extra: CallOptions = {}) =>
      scored('/v1/rank')<RankAnswer>(items, settings, extra),
    models: {
      list: (extra?: CallOptions) => json<ModelList>('GET', '/v1/models', undefined, extra),
      load: (id: string, extra?: CallOptions) =>
        json<ModelRow>('POST', `/v1/models/${encodeURIComponent(id)}/load`, undefined, extra),
      unload: (id: string, extra?: CallOptions) =>
        json<ModelRow>('POST', `/v1/models/${encodeURIComponent(id)}/unload`, undefined, extra),
    },
    jobs: {
      /** A list (text with a path, URL or JSON object on each line) or items. */
      create: (
        list: string | Blob | readonly ItemSource[] | { manifest_path: string },
        settings: JobSettings = {},
        extra: CallOptions = {},
      ) => createJob(send, list, settings, extra),
      list: (query: { limit?: number; offset?: number; status?: JobStatus } = {}, extra?: CallOptions) =>
        json<JobList>('GET', `/v1/jobs${toQuery(query)}`, undefined, extra),
      get: (id: string, extra?: CallOptions) => json<Job>('GET', `/v1/jobs/${id}`, undefined, extra),
      cancel: (id: string, extra?: CallOptions) => json<Job>('DELETE', `/v1/jobs/${id}`, undefined, extra),
      async *results(id: string, extra: CallOptions = {}): AsyncGenerator<ScoreOutcome, void, undefined> {
        for await (const line of lines(await send('GET', `/v1/jobs/${id}/results`, undefined, extra)))
          if (line !== '') yield JSON.parse(line) as ScoreOutcome;
      },
      csv: async (id: string, extra?: CallOptions) =>
        (await send('GET', `/v1/jobs/${id}/results?format=csv`, undefined, extra)).text(),
      events: (id: string, extra: EventOptions = {}) => events<JobEvent>(send, `/v1/jobs/${id}/events`, extra),
      /** Follows the events until the job has ended, coming back when the connection breaks. */
      async wait(id: string, extra: CallOptions = {}): Promise<Job> {
        for (let last: number | undefined; ;) {
          try {
            for await (const { id: seen } of events<JobEvent>(send, `/v1/jobs/${id}/events`, {
              ...extra,
              ...(last === undefined ? {} : { lastEventId: last }),
            }))
              last = seen;
            const job = await json<Job>('GET', `/v1/jobs/${id}`, undefined, extra);
            if (job.finished_at !== null) return job;
          } catch (error) {
            extra.signal?.throwIfAborted();
            if (error instanceof ServiceError && error.status < 500) throw error;
          }
          await new Promise((resolve) => setTimeout(resolve, 500));
        }
      },
    },
    trainRuns: {
      create: (body: TrainRunBody, extra?: CallOptions) => json<TrainRun>('POST', '/v1/train_runs', body, extra),
      list: (extra?: CallOptions) => json<TrainRunList>('GET', '/v1/train_runs', undefined, extra),
      ...run<TrainRun>('/v1/train_runs'),
    },
    evaluations: {
      create: (body: EvaluationBody, extra?: CallOptions) => json<Evaluation>('POST', '/v1/evaluations', body, extra),
      list: (extra?: CallOptions) => json<EvaluationList>('GET', '/v1/evaluations', undefined, extra),
      ...run<Evaluation>('/v1/evaluations'),
    },
    datasets: {
      list: (extra?: CallOptions) => json<DatasetList>('GET', '/v1/datasets', undefined, extra),
      convert: (body: ConvertBody, extra?: CallOptions) =>
        json<ConvertAnswer>('POST', '/v1/datasets/convert', body, extra),
    },
    ready: async (): Promise<boolean> =>
      send('GET', '/readyz', undefined, {}).then(
        () => true,
        () => false,
      ),
  };
}

type Body = string | FormData | Blob | ReadableStream;
type Sender = (
  method: string,
  path: string,
  body: Body | object | undefined,
  extra: CallOptions | undefined,
  headers?: Record<string, string>,
) => Promise<Response>;

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

async function createJob(
  send: Sender,
  list: string | Blob | readonly ItemSource[] | { manifest_path: string },
  settings: JobSettings,
  extra: CallOptions,
): Promise<Job> {
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

function toQuery(values: Readonly<Record<string, string | number | readonly string[] | undefined>>): string {
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

export async function* lines(response: Response): AsyncGenerator<string, void, undefined> {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const chunk of response.body as unknown as AsyncIterable<Uint8Array>) {
    const parts = (rest + decoder.decode(chunk, { stream: true })).split('\n');
    rest = parts.pop() ?? '';
    yield* parts;
  }
  if (rest !== '') yield rest;
}

export type { ConvertAnswer, ConvertBody, DatasetList, Evaluation, EvaluationBody, TrainRun, TrainRunBody, RunEvent };
export type {
  CompareAnswer,
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
