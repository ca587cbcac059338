/** The boundary of src/client: requests over `fetch`, typed by src/api. It imports no other folder at run time. */
import type { Job, JobEvent, JobShard } from '../api/jobs.js';
import type { ScoreOutcome } from '../api/result.js';
import type { RunEvent } from '../api/runs.js';
import type { ScoreAnswer, ScoredInput, ScoreFields } from '../api/score.js';
import { fileBody, itemsBody, jsonBody, randomHex } from './body.js';
import type {
  CallOptions,
  ClientItem,
  ClientOptions,
  JobCalls,
  JobItems,
  ModelCalls,
  QalignClient,
  RunCalls,
  UploadOptions,
} from './interface.js';
import { jsonLines, sentEvents } from './lines.js';
import { createSender, toQuery, type Sender } from './send.js';
import { jsonOf, ServiceError } from './service-error.js';

/**
 * The service as typed functions, over `fetch`. Works in Node, Bun, Deno and browsers.
 * @example const client = createClient({ url: 'http://127.0.0.1:8080' });
 */
export function createClient(options: ClientOptions): QalignClient {
  const send = createSender(options);
  const json = jsonSender(send);
  return {
    ...scoreCalls(send),
    models: modelCalls(json),
    jobs: jobCalls(send, json),
    trainRuns: runCalls(send, json, '/v1/train_runs'),
    evaluations: runCalls(send, json, '/v1/evaluations'),
    datasets: {
      list: (extra) => json('GET', '/v1/datasets', undefined, extra),
      convert: (body, extra) => json('POST', '/v1/datasets/convert', body, withKey(extra)),
    },
    ready: (extra) =>
      send('GET', '/readyz', undefined, { ...extra, retries: 0 }).then(
        () => true,
        () => false,
      ),
  };
}

/** Sends and receives JSON. T is the type of the answer that the API documents for the path. */
type JsonSender = <T>(method: string, path: string, body?: object, extra?: CallOptions) => Promise<T>;

const jsonSender =
  (send: Sender): JsonSender =>
  async <T>(method: string, path: string, body?: object, extra?: CallOptions) =>
    jsonOf<T>(await send(method, path, body === undefined ? undefined : jsonBody(body), extra));

/** Adds an idempotency key, so that a request that is sent again does not create a second object. */
const withKey = <T extends CallOptions>(extra: T | undefined): T => ({ idempotencyKey: randomHex(), ...extra }) as T;

const scoreCalls = (send: Sender): Pick<QalignClient, 'score' | 'scoreStream' | 'scoreFile' | 'compare' | 'rank'> => {
  const post = async <T>(
    path: string,
    items: readonly ClientItem[],
    settings: ScoreFields = {},
    extra: UploadOptions = {},
  ): Promise<T> => jsonOf<T>(await send('POST', path, await itemsBody(items, settings), extra));
  return {
    score: (items, settings, extra) => post('/v1/score', items, settings, extra),
    async *scoreStream(items, settings = {}, extra = {}) {
      const accept = { Accept: 'application/x-ndjson' };
      const response = await send('POST', '/v1/score', await itemsBody(items, settings), extra, accept);
      let count = 0;
      for await (const item of jsonLines<ScoredInput>(response)) {
        count += 1;
        yield item;
      }
      if (count < items.length) throw cutOff(response, count, items.length);
    },
    async scoreFile(file, settings = {}, { name, ...extra } = {}) {
      const { name: own, ...body } = fileBody(file);
      const called = name ?? own;
      const disposition = called === undefined ? undefined : `attachment; filename*=UTF-8''${percentEncoded(called)}`;
      const headers = disposition === undefined ? {} : { 'Content-Disposition': disposition };
      const response = await send('POST', `/v1/score${toQuery(settings)}`, body, extra, headers);
      const { items } = await jsonOf<Partial<ScoreAnswer>>(response);
      if (items?.[0] === undefined) throw cutOff(response, 0, 1);
      return items[0];
    },
    compare: (first, second, settings, extra) => post('/v1/compare', [first, second], settings, extra),
    rank: (items, settings, extra) => post('/v1/rank', items, settings, extra),
  };
};

/** A proxy can end an answer early if it does not know its length. */
const cutOff = ({ status }: Response, count: number, wanted: number): ServiceError =>
  new ServiceError(
    status,
    'UNKNOWN',
    `The answer ended after ${count} of ${wanted} items; send the rest again.`,
    undefined,
    undefined,
  );

const percentEncoded = (name: string): string => encodeURIComponent(name).replaceAll("'", '%27');

const modelCalls = (json: JsonSender): ModelCalls => ({
  list: (extra) => json('GET', '/v1/models', undefined, extra),
  load: (id, extra) => json('POST', `/v1/models/${encodeURIComponent(id)}/load`, undefined, extra),
  unload: (id, extra) => json('POST', `/v1/models/${encodeURIComponent(id)}/unload`, undefined, extra),
});

const jobCalls = (send: Sender, json: JsonSender): JobCalls => ({
  create: async (list, settings = {}, extra) =>
    jsonOf<Job>(await send('POST', ...jobRequest(list, settings), withKey(extra))),
  list: (query = {}, extra) => json('GET', `/v1/jobs${toQuery({ ...query })}`, undefined, extra),
  get: (id, extra) => json('GET', `/v1/jobs/${encodeURIComponent(id)}`, undefined, extra),
  cancel: (id, extra) => json('DELETE', `/v1/jobs/${encodeURIComponent(id)}?cancel_only=true`, undefined, extra),
  delete: (id, extra) => json('DELETE', `/v1/jobs/${encodeURIComponent(id)}`, undefined, extra),
  async *results(id, extra) {
    yield* jsonLines<ScoreOutcome>(await send('GET', `/v1/jobs/${encodeURIComponent(id)}/results`, undefined, extra));
  },
  async *shards(id, extra) {
    yield* jsonLines<JobShard>(await send('GET', `/v1/jobs/${encodeURIComponent(id)}/results`, undefined, extra));
  },
  csv: async (id, extra) =>
    (await send('GET', `/v1/jobs/${encodeURIComponent(id)}/results?format=csv`, undefined, extra)).text(),
  events: (id, extra) => events<JobEvent>(send, `/v1/jobs/${encodeURIComponent(id)}/events`, extra),
  wait: (id, extra = {}) => waitForJob(send, json, `/v1/jobs/${encodeURIComponent(id)}`, extra),
});

function jobRequest(list: JobItems, settings: object): [path: string, body: ReturnType<typeof jsonBody>] {
  if (typeof list === 'string' || list instanceof Blob)
    return [`/v1/jobs${toQuery({ ...settings })}`, { content: list, type: 'application/x-ndjson' }];
  return ['/v1/jobs', jsonBody(Array.isArray(list) ? { items: list, ...settings } : { ...list, ...settings })];
}

const runCalls = <Made extends object, One, All>(
  send: Sender,
  json: JsonSender,
  path: string,
): RunCalls<Made, One, All> => ({
  create: (body, extra) => json('POST', path, body, withKey(extra)),
  list: (extra) => json('GET', path, undefined, extra),
  get: (id, extra) => json('GET', `${path}/${encodeURIComponent(id)}`, undefined, extra),
  stop: (id, extra) => json('POST', `${path}/${encodeURIComponent(id)}/stop`, undefined, extra),
  resume: (id, extra) => json('POST', `${path}/${encodeURIComponent(id)}/resume`, undefined, extra),
  events: (id, extra) => events<RunEvent>(send, `${path}/${encodeURIComponent(id)}/events`, extra),
});

async function waitForJob(send: Sender, json: JsonSender, path: string, extra: CallOptions): Promise<Job> {
  for (let last: number | undefined; ;) {
    try {
      const after = { ...extra, ...(last === undefined ? {} : { lastEventId: last }) };
      for await (const { id: seen } of events<JobEvent>(send, `${path}/events`, after)) last = seen;
      const job = await json<Job>('GET', path, undefined, extra);
      if (job.finished_at !== null) return job;
    } catch (error) {
      extra.signal?.throwIfAborted();
      if (error instanceof ServiceError && error.status < 500 && error.status !== 429) throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
}

async function* events<T>(
  send: Sender,
  path: string,
  { lastEventId, ...extra }: CallOptions & { readonly lastEventId?: number } = {},
): AsyncGenerator<{ readonly id: number; readonly data: T }, void, undefined> {
  const headers = {
    Accept: 'text/event-stream',
    ...(lastEventId === undefined ? {} : { 'Last-Event-ID': String(lastEventId) }),
  };
  yield* sentEvents<T>(await send('GET', path, undefined, extra, headers));
}

export { ServiceError };
export type {
  CallOptions,
  ClientFile,
  ClientItem,
  ClientOptions,
  DatasetCalls,
  EventOptions,
  JobCalls,
  JobItems,
  JobQuery,
  ModelCalls,
  QalignClient,
  RunCalls,
  SentEvent,
  ShardJob,
  UploadOptions,
  UploadProgress,
} from './interface.js';
export type { ErrorCode } from '../api/error.js';
export type { ConvertAnswer, ConvertBody, DatasetList } from '../api/datasets.js';
export type { DeletedJob, Job, JobEvent, JobList, JobMessage, JobSettings, JobShard, JobStatus } from '../api/jobs.js';
export type { ModelList, ModelRow } from '../api/models.js';
export type { ScoreFailure, ScoreOutcome, ScoreResult } from '../api/result.js';
/** `WorkEvent` is the former name of `RunEvent`. */
export type { RunEvent, RunEvent as WorkEvent } from '../api/runs.js';
export type { Evaluation, EvaluationBody, EvaluationList, TrainRun, TrainRunBody, TrainRunList } from '../api/runs.js';
export type { CompareAnswer, ItemSource, RankAnswer, ScoreAnswer, ScoredInput, ScoreFields } from '../api/score.js';
