import Type, { type Static } from 'typebox';
import { TASKS } from '../prompts/subject.js';
import { SCALES } from '../scoring/levels.js';
import { closed, exactlyOne, PAGE } from './error.js';
import { ItemSource, ScoreSettings } from './score.js';

/** The settings of a job. */
const Settings = {
  ...ScoreSettings,
  webhook: Type.Optional(
    Type.String({
      minLength: 8,
      maxLength: 2048,
      description: 'https URL that receives a signed message when the job ends; the service must allow its host',
    }),
  ),
};

const JOB_STATUSES = ['queued', 'running', 'waiting', 'completed', 'cancelled', 'failed'] as const;
/** `waiting`: for disk space or for a worker. */
export type JobStatus = (typeof JOB_STATUSES)[number];

const LISTS = {
  items: Type.Array(ItemSource, { minItems: 1, description: 'pictures and clips' }),
  manifest_path: Type.String({
    minLength: 1,
    maxLength: 4096,
    description: 'path of a list below the root; each line is a path, a URL or a JSON object',
  }),
  shards: Type.Array(Type.String({ minLength: 1, maxLength: 4096 }), {
    minItems: 1,
    maxItems: 1000,
    description:
      'shards, each scored into one result: names below the root, with braces or wildcards, or .txt and .list files of such names. s3:// needs jobs.object_storage',
  }),
};
/** Where the results of shards are written, and what is read. Only for a job with `shards`. */
const SHARD_SETTINGS = {
  out: Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: 4096,
      description: 'with shards: folder of the results below the root, or s3://; it is created',
    }),
  ),
  format: Type.Optional(
    Type.Enum(['parquet', 'jsonl'], { description: 'with shards: format of the results (default: parquet)' }),
  ),
  keep: Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: 1000,
      description: 'with shards: condition of the key lists beside the results, such as score>=3.5',
    }),
  ),
  limit: Type.Optional(
    Type.Integer({ minimum: 1, description: 'with shards: maximum number of items that are read of each shard' }),
  ),
};
/** The items, the path of a list below the root (of the same form as an uploaded list), or shards. */
export const JobBody = Type.Object(
  {
    items: Type.Optional(LISTS.items),
    manifest_path: Type.Optional(LISTS.manifest_path),
    shards: Type.Optional(LISTS.shards),
    ...SHARD_SETTINGS,
    ...Settings,
  },
  { ...closed, ...exactlyOne(LISTS) },
);
export interface JobBody extends Static<typeof JobBody> {}
/** The settings for an uploaded list, which are in the query. */
export const JobQuery = Type.Object(Settings, closed);
/** The settings for every item of a job. */
export interface JobSettings extends Static<typeof JobQuery> {}

const count = (description: string) => Type.Integer({ minimum: 0, description });
const total = count('number of items in the list, or of shards');
const done = count('number of items or shards that were scored or failed');
const items = Type.Optional(count('number of items of the shards so far; only of a job over shards'));
const seconds = (description: string) => Type.Number({ description });
export const Job = Type.Object(
  {
    id: Type.String({ description: 'id of the job' }),
    status: Type.Enum([...JOB_STATUSES], {
      description: 'waiting: the job needs disk space or a worker; message states which',
    }),
    total,
    done,
    failed: count('number of items or shards in done that failed'),
    warned: count('number of items in done that were scored with warnings; 0 for shards'),
    items,
    result_bytes: count('size of the results so far in bytes, as NDJSON'),
    eta_s: Type.Union([Type.Number(), Type.Null()], {
      description: 'estimated seconds until the job ends; null: unknown',
    }),
    tasks: Type.Array(Type.Enum([...TASKS]), { description: 'tasks that each item is scored for' }),
    scale: Type.Enum([...SCALES], { description: 'scale of the scores' }),
    model: Type.String({ description: 'model that scores the items' }),
    message: Type.Union([Type.String(), Type.Null()], {
      description: 'reason why the job waits or failed; null: no message',
    }),
    created_at: seconds('time when the job was created, in seconds since 1970'),
    finished_at: Type.Union([Type.Number(), Type.Null()], {
      description: 'time when the job ended, in seconds since 1970; null: it has not ended',
    }),
  },
  closed,
);
/** The state of a job. */
export interface Job extends Static<typeof Job> {}
export const DeletedJob = Type.Object(
  {
    ...Job.properties,
    deleted: Type.Boolean({
      description:
        'true: the job had ended, and was deleted with its list, results and events; false: it was only cancelled',
    }),
  },
  closed,
);
/** A job after DELETE. */
export interface DeletedJob extends Static<typeof DeletedJob> {}
export const JobDeleteQuery = Type.Object(
  {
    cancel_only: Type.Optional(Type.Boolean({ description: 'true: do not delete a job that has ended' })),
  },
  closed,
);
export const JobList = Type.Object({ jobs: Type.Array(Job, { description: 'the newest first' }) }, closed);
/** Jobs, the newest first. */
export interface JobList extends Static<typeof JobList> {}
export const JobParams = Type.Object(
  { id: Type.String({ pattern: '^job_[0-9a-f]{24}$', description: 'id of a job' }) },
  closed,
);
export const JobListQuery = Type.Object(
  {
    ...PAGE,
    status: Type.Optional(Type.Enum([...JOB_STATUSES], { description: 'only jobs with this status' })),
  },
  closed,
);
export const ResultsQuery = Type.Object(
  {
    format: Type.Optional(
      Type.Enum(['ndjson', 'csv', 'csv-safe', 'parquet'], {
        description:
          'format of the results (default: ndjson). `csv-safe`: with an apostrophe before text that a spreadsheet would run as a formula. `parquet`: only after the job has ended',
      }),
    ),
  },
  closed,
);
export type ResultsFormat = NonNullable<Static<typeof ResultsQuery>['format']>;
export const JobEvent = Type.Object(
  {
    event: Type.Enum(['progress', 'end'], { description: 'type of the event; end is the last' }),
    time: seconds('time of the event, in seconds since 1970'),
    status: Type.Enum([...JOB_STATUSES], { description: 'status of the job' }),
    total,
    done,
    failed: Job.properties.failed,
    warned: Job.properties.warned,
    items,
  },
  closed,
);
/** The state of a job while it runs. */
export interface JobEvent extends Static<typeof JobEvent> {}

/** A line of the results of a job over shards. */
export interface JobShard {
  readonly shard: string;
  readonly state: 'done' | 'failed';
  /** Path or address of the result. */
  readonly output?: string;
  /** Number of items in the result, including the failed ones. */
  readonly items?: number;
  readonly failed?: number;
  /** The reason why there is no result. */
  readonly error?: { readonly code: string; readonly message: string };
}

/** The type of the message for each final status of a job. */
export const JOB_ENDINGS = { completed: 'job.completed', failed: 'job.failed', cancelled: 'job.cancelled' } as const;
export const JobMessage = Type.Object(
  {
    type: Type.Enum(Object.values(JOB_ENDINGS), { description: 'final status of the job' }),
    timestamp: Type.String({ description: 'time when the job ended, in ISO 8601' }),
    data: Job,
  },
  closed,
);
/** The body of a webhook. */
export interface JobMessage extends Static<typeof JobMessage> {}
