import Type, { type Static } from 'typebox';
import { TASKS } from '../prompts/subject.js';
import { SCALES } from '../scoring/levels.js';
import { closed, PAGE } from './error.js';
import { ItemSource, ScoreSettings } from './score.js';

const JOB_STATUSES = ['queued', 'running', 'waiting', 'completed', 'cancelled', 'failed'] as const;
export type JobStatus = (typeof JOB_STATUSES)[number];

/** Items by themselves, or the path of a list below the root: a line each, as in an uploaded list. */
export const JobBody = Type.Object(
  {
    items: Type.Optional(Type.Array(ItemSource, { minItems: 1 })),
    manifest_path: Type.Optional(Type.String({ minLength: 1, maxLength: 4096 })),
    ...ScoreSettings,
  },
  {
    ...closed,
    description: 'exactly one of items and manifest_path',
    oneOf: ['items', 'manifest_path'].map((name) => ({ type: 'object', required: [name] })),
  },
);
export type JobBody = Static<typeof JobBody>;
/** Beside an uploaded list the settings stand in the query. */
export const JobQuery = Type.Object(ScoreSettings, closed);
export type JobSettings = Static<typeof JobQuery>;

const count = Type.Integer({ minimum: 0 });
const seconds = Type.Number({ description: 'since 1970' });
export const Job = Type.Object(
  {
    id: Type.String(),
    status: Type.Enum([...JOB_STATUSES], {
      description: 'waiting: for room on the disk or for a worker; message says which',
    }),
    total: count,
    done: count,
    failed: Type.Integer({ minimum: 0, description: 'of those done' }),
    warned: Type.Integer({ minimum: 0, description: 'scored with warnings, of those done' }),
    result_bytes: count,
    eta_s: Type.Union([Type.Number(), Type.Null()]),
    tasks: Type.Array(Type.Enum([...TASKS])),
    scale: Type.Enum([...SCALES]),
    model: Type.String(),
    message: Type.Union([Type.String(), Type.Null()]),
    created_at: seconds,
    finished_at: Type.Union([seconds, Type.Null()]),
  },
  closed,
);
export type Job = Static<typeof Job>;
export const JobList = Type.Object({ jobs: Type.Array(Job) }, closed);
export type JobList = Static<typeof JobList>;
export const JobParams = Type.Object({ id: Type.String({ pattern: '^job_[0-9a-f]{24}$' }) }, closed);
export const JobListQuery = Type.Object(
  {
    ...PAGE,
    status: Type.Optional(Type.Enum([...JOB_STATUSES])),
  },
  closed,
);
export const ResultsQuery = Type.Object(
  {
    format: Type.Optional(
      Type.Enum(['ndjson', 'csv', 'csv-safe', 'parquet'], {
        description:
          'csv-safe: an apostrophe before text that a spreadsheet would run as a formula; parquet: when the job has ended',
      }),
    ),
  },
  closed,
);
export type ResultsFormat = NonNullable<Static<typeof ResultsQuery>['format']>;
export const JobEvent = Type.Object(
  {
    event: Type.Enum(['progress', 'end']),
    time: seconds,
    status: Type.Enum([...JOB_STATUSES]),
    total: count,
    done: count,
    failed: count,
    warned: count,
  },
  closed,
);
export type JobEvent = Static<typeof JobEvent>;
