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
};
/** The items, or the path of a list below the root, which has the same form as an uploaded list. */
export const JobBody = Type.Object(
  {
    items: Type.Optional(LISTS.items),
    manifest_path: Type.Optional(LISTS.manifest_path),
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
const total = count('number of items in the list');
const done = count('number of items that were scored or failed');
const seconds = (description: string) => Type.Number({ description });
export const Job = Type.Object(
  {
    id: Type.String({ description: 'id of the job' }),
    status: Type.Enum([...JOB_STATUSES], {
      description: 'waiting: the job needs disk space or a worker; message states which',
    }),
    total,
    done,
    failed: count('number of items in done that failed'),
    warned: count('number of items in done that were scored with warnings'),
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
  },
  closed,
);
/** The state of a job while it runs. */
export interface JobEvent extends Static<typeof JobEvent> {}

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
