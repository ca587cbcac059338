import { join } from 'node:path';
import Type from 'typebox';
import { QalignError } from '../../base/errors.js';
import { createJob, type JobCreateServices } from '../jobs/create.js';
import { errorOf, findJob, sendResults } from '../jobs/answers.js';
import { toAnswer } from '../jobs/job-answer.js';
import type { StoredJob } from '../jobs/store.js';
import { visibleOwner } from '../http/client-key.js';
import { defineRoute } from '../route.js';
import { EXAMPLE_JOB, EXAMPLE_KEY } from '../../api/examples.js';
import { EXAMPLE_PICTURE } from '../../media/probe-picture.js';
import {
  DeletedJob,
  Job,
  JobBody,
  JobDeleteQuery,
  JobList,
  JobListQuery,
  JobParams,
  JobQuery,
  ResultsQuery,
  type ResultsFormat,
} from '../../api/jobs.js';
import { EVENT, streamEvents } from '../http/sse.js';

const NDJSON = 'application/x-ndjson';
const PARQUET = 'application/vnd.apache.parquet';
const TYPES: Readonly<Record<ResultsFormat, string>> = {
  ndjson: NDJSON,
  csv: 'text/csv',
  'csv-safe': 'text/csv',
  parquet: PARQUET,
};

export interface JobRouteServices extends JobCreateServices {
  readonly ending: AbortSignal;
}

export const createJobs = defineRoute({
  method: 'post',
  path: '/v1/jobs',
  scope: 'jobs',
  tag: 'jobs',
  summary: 'score a list of thousands to millions of items, or shards',
  description: `The list has a path below the root, a URL or a JSON object (as in /v1/score) on each line. It is uploaded (a form with one file, or the body itself with the settings in the query), named by manifest_path, or given as items. A job survives a restart of the service and of every worker: each item is answered once or reported as failed. With \`shards\` and \`out\`, each shard gets one result file below the root. Such a job counts shards. Its results name the file of each shard, or say why it failed. With \`Idempotency-Key\`, a repeated request finds the first job. With \`webhook\`, a signed message reports how the job ended (see webhooks).`,
  headers: { 'Idempotency-Key': 'a repeated request with this key finds the first job' },
  query: JobQuery,
  body: {
    'application/json': JobBody,
    'text/plain': Type.String(),
    'multipart/form-data': Type.Object({
      file: Type.Unsafe<string>({ type: 'string', format: 'binary', description: 'the list' }),
      ...JobQuery.properties,
    }),
  },
  answers: { 202: { description: 'accepted and stored on disk', schema: Job } },
  errors: [
    'BODY_INVALID',
    'BODY_TOO_LARGE',
    'BODY_UNSUPPORTED',
    'MALFORMED',
    'PATH_FORBIDDEN',
    'WEBHOOK_FORBIDDEN',
    'IDEMPOTENCY_CONFLICT',
    'CONFIG_NOT_FOUND',
    'TASK_UNSUPPORTED',
    'MEDIA_NOT_FOUND',
    'MODEL_NOT_LOADED',
    'NO_WORKER',
    'OUTPUT_UNWRITABLE',
    'SHARD_NOT_FOUND',
    'SHARD_DAMAGED',
    'STORAGE_FAILED',
    'STORAGE_REFUSED',
    'PACKAGE_MISSING',
  ],
  examples: [
    {
      name: 'items',
      status: 202,
      headers: { 'Idempotency-Key': EXAMPLE_KEY },
      body: {
        items: [
          { id: 'a', base64: EXAMPLE_PICTURE },
          { id: 'b', base64: EXAMPLE_PICTURE },
        ],
        tasks: ['quality'],
      },
    },
    {
      name: 'a list as the body',
      status: 202,
      query: { tasks: 'quality', scale: 'unit' },
      text: { type: 'text/plain', body: `{"id":"a","base64":"${EXAMPLE_PICTURE}"}\n` },
    },
  ],
  async handle(call, services: JobRouteServices) {
    const { ending, jobs } = services;
    if (ending.aborted) throw new QalignError('SHUTTING_DOWN', 'The service is shutting down; try again later.');
    const { job, replayed } = await createJob(call, services);
    call.res.set({ Location: `/v1/jobs/${job.id}`, ...(replayed ? { 'Idempotency-Replayed': 'true' } : {}) });
    call.answer(202, toAnswer(jobs.current(job.id) ?? job, jobs.pace(job.id)));
  },
});

export const listJobs = defineRoute({
  method: 'get',
  path: '/v1/jobs',
  scope: 'jobs',
  tag: 'jobs',
  summary: 'jobs of this key, newest first (all of them for admin)',
  query: JobListQuery,
  answers: { 200: { description: 'the jobs', schema: JobList } },
  examples: [{ name: 'running jobs', status: 200, query: { status: 'running', limit: '10' } }],
  async handle(call, { jobStore, jobs }: JobRouteServices) {
    const { limit = 50, offset = 0, status } = call.query;
    const owner = visibleOwner(call.client);
    const rows = jobStore.list({ owner, status, limit, offset }).map(({ id }) => jobs.current(id) as StoredJob);
    call.answer(200, { jobs: rows.map((job) => toAnswer(job, jobs.pace(job.id))) });
  },
});

export const showJob = defineRoute({
  method: 'get',
  path: '/v1/jobs/{id}',
  scope: 'jobs',
  tag: 'jobs',
  summary: 'state and progress of a job',
  params: JobParams,
  answers: { 200: { description: 'the job', schema: Job } },
  errors: ['JOB_NOT_FOUND'],
  examples: [{ name: 'the job of the example above', status: 200, params: { id: EXAMPLE_JOB } }],
  handle: async (call, { jobs }: JobRouteServices) =>
    call.answer(200, toAnswer(findJob(call, jobs), jobs.pace(call.params.id))),
});

export const cancelJob = defineRoute({
  method: 'delete',
  path: '/v1/jobs/{id}',
  scope: 'jobs',
  tag: 'jobs',
  summary: 'cancel a job; delete one that has ended',
  description:
    'Cancels a waiting or running job; its results so far remain. Deletes an ended job with its list, results and events; its id is then unknown. Downloads in progress continue to their end. The `Idempotency-Key` of a deleted job makes a new job.',
  params: JobParams,
  query: JobDeleteQuery,
  answers: { 200: { description: 'the job before the call; `deleted` is true if it was deleted', schema: DeletedJob } },
  errors: ['JOB_NOT_FOUND'],
  examples: [
    {
      name: 'the job of the example above, if it is still running',
      status: 200,
      params: { id: EXAMPLE_JOB },
      query: { cancel_only: 'true' },
    },
  ],
  async handle(call, { jobs }: JobRouteServices) {
    const job = findJob(call, jobs);
    const deleted = job.finishedAt !== undefined && call.query.cancel_only !== true;
    if (deleted) await jobs.remove(job.id);
    const now = deleted ? job : (jobs.cancel(job.id) ?? job);
    call.answer(200, { ...toAnswer(now, undefined), deleted });
  },
});

export const jobResults = defineRoute({
  method: 'get',
  path: '/v1/jobs/{id}/results',
  scope: 'jobs',
  tag: 'jobs',
  summary: 'results so far, in the order of the list',
  description:
    'JSON lines by default, and always of a job over shards. CSV with ?format=csv or Accept: text/csv, safe in spreadsheets with ?format=csv-safe, Parquet with ?format=parquet when the job has ended. Whole items only. Range is honoured: for JSON lines always, for CSV and Parquet when the job has ended. With `Accept-Encoding: gzip` and no Range the answer is packed while it is sent.',
  params: JobParams,
  query: ResultsQuery,
  headers: {
    Range: 'bytes=FROM-TO',
    'Accept-Encoding': 'gzip: the answer is packed, without a Range and except Parquet',
  },
  answers: {
    200: {
      description: 'a line for every item and task, or for every shard',
      types: [NDJSON, 'text/csv', PARQUET],
      schema: Type.String(),
    },
    206: { description: 'the requested bytes', types: [NDJSON, 'text/csv', PARQUET], schema: Type.String() },
  },
  errors: ['JOB_NOT_FOUND', 'JOB_NOT_ENDED', 'RANGE_INVALID', 'NOT_ACCEPTABLE'],
  examples: [
    { name: 'as CSV', status: 200, params: { id: EXAMPLE_JOB }, query: { format: 'csv' } },
    { name: 'as JSON lines', status: 200, params: { id: EXAMPLE_JOB } },
  ],
  async handle(call, { jobs }: JobRouteServices) {
    const job = findJob(call, jobs);
    // A job that was just cancelled still writes the items that were in flight.
    if (job.finishedAt !== undefined) await jobs.written(job.id);
    const format =
      call.query.format ??
      (call.req.accepts([NDJSON, 'application/json', 'text/csv']) === 'text/csv' ? 'csv' : 'ndjson');
    call.res.set('Cache-Control', 'no-store').type(TYPES[format]);
    await sendResults(call, job, join(jobs.folder(job.id), 'results.jsonl'), format).catch((error: unknown) => {
      throw errorOf(error, job.id, jobs);
    });
  },
});

export const jobEvents = defineRoute({
  method: 'get',
  path: '/v1/jobs/{id}/events',
  scope: 'jobs',
  tag: 'jobs',
  summary: 'progress as server-sent events',
  description:
    'Sends "progress" events, and "end" as the last. A client that reconnects with Last-Event-ID misses nothing, even after a restart of the service.',
  params: JobParams,
  headers: { 'Last-Event-ID': 'id of the last event that the client received' },
  answers: {
    200: { description: 'a stream that ends with the job', types: ['text/event-stream'], schema: EVENT },
  },
  errors: ['JOB_NOT_FOUND', 'MALFORMED'],
  examples: [
    {
      name: 'starts with the second event',
      status: 200,
      params: { id: EXAMPLE_JOB },
      headers: { 'Last-Event-ID': '1' },
    },
  ],
  async handle(call, { jobs, jobStore, ending }: JobRouteServices) {
    const { id } = findJob(call, jobs);
    await streamEvents(call, {
      file: join(jobs.folder(id), 'events.jsonl'),
      ended() {
        const job = jobStore.get(id);
        return job === undefined || (job.finishedAt !== undefined && !jobs.isActive(id)); // Undefined: it was deleted.
      },
      ending,
    });
  },
});
