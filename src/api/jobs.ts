import Type, { type Static } from 'typebox';
import { TASKS } from '../prompts/subject.js';
import { SCALES } from '../scoring/levels.js';
import { closed, exactlyOne, PAGE } from './error.js';
import { ItemSource, ScoreSettings } from './score.js';

/** What is said about a job as a whole. */
const Settings = {
  ...ScoreSettings,
  webhook: Type.Optional(
    Type.String({
      minLength: 8,
      maxLength: 2048,
      description: 'https URL that gets a signed message when the job ends, on a host that the service allows',
    }),
  ),
};

const JOB_STATUSES = ['queued', 'running', 'waiting', 'completed', 'cancelled', 'failed'] as const;
/** `waiting`: for room on the disk or for a worker. */
export type JobStatus = (typeof JOB_STATUSES)[number];

const LISTS = {
  items: Type.Array(ItemSource, { minItems: 1, description: 'pictures and clips' }),
  manifest_path: Type.String({
    minLength: 1,
    maxLength: 4096,
    description: 'file below the root: a path, URL or JSON object on each line',
  }),
};
/** Items by themselves, or the path of a list below the root: a line each, as in an uploaded list. */
export const JobBody = Type.Object(
  {
    items: Type.Optional(LISTS.items),
    manifest_path: Type.Optional(LISTS.manifest_path),
    ...Settings,
  },
  { ...closed, ...exactlyOne(LISTS) },
);
export interface JobBody extends Static<typeof JobBody> {}
/** Beside an uploaded list the settings stand in the query. */
export const JobQuery = Type.Object(Settings, closed);
/** What is asked about every item of a job. */
export interface JobSettings extends Static<typeof JobQuery> {}

const count = (description: string) => Type.Integer({ minimum: 0, description });
const total = count('items of the list');
const done = count('items that are scored or failed');
const seconds = (description: string) => Type.Number({ description });
export const Job = Type.Object(
  {
    id: Type.String({ description: 'id of the job' }),
    status: Type.Enum([...JOB_STATUSES], {
      description: 'waiting: for room on the disk or for a worker; message says which',
    }),
    total,
    done,
    failed: count('items that failed, of those done'),
    warned: count('items scored with warnings, of those done'),
    result_bytes: count('size of the results so far, as NDJSON'),
    eta_s: Type.Union([Type.Number(), Type.Null()], {
      description: 'seconds to the end at the present rate; null: not known',
    }),
    tasks: Type.Array(Type.Enum([...TASKS]), { description: 'what each item is rated for' }),
    scale: Type.Enum([...SCALES], { description: 'scale of the scores' }),
    model: Type.String({ description: 'model that scores' }),
    message: Type.Union([Type.String(), Type.Null()], {
      description: 'why the job waits or failed; null: nothing to say',
    }),
    created_at: seconds('when the job was made, in seconds since 1970'),
    finished_at: Type.Union([Type.Number(), Type.Null()], {
      description: 'when it ended, in seconds since 1970; null: it has not ended',
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
      description: 'true: it had ended, and it is gone with its list, results and events; false: they stay',
    }),
  },
  closed,
);
/** A job after DELETE. */
export interface DeletedJob extends Static<typeof DeletedJob> {}
export const JobDeleteQuery = Type.Object(
  {
    cancel_only: Type.Optional(Type.Boolean({ description: 'a job that has ended is left as it is' })),
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
          'default ndjson; csv-safe: an apostrophe before text that a spreadsheet would run as a formula; parquet: when the job has ended',
      }),
    ),
  },
  closed,
);
export type ResultsFormat = NonNullable<Static<typeof ResultsQuery>['format']>;
export const JobEvent = Type.Object(
  {
    event: Type.Enum(['progress', 'end'], { description: 'end is the last event' }),
    time: seconds('when it was sent, in seconds since 1970'),
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

/** Type of the message about a job that ended so. */
export const JOB_ENDINGS = { completed: 'job.completed', failed: 'job.failed', cancelled: 'job.cancelled' } as const;
export const JobMessage = Type.Object(
  {
    type: Type.Enum(Object.values(JOB_ENDINGS), { description: 'how the job ended' }),
    timestamp: Type.String({ description: 'ISO 8601: when the job ended' }),
    data: Job,
  },
  closed,
);
/** The body of a webhook. */
export interface JobMessage extends Static<typeof JobMessage> {}
