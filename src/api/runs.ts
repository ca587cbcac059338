import Type, { type Static } from 'typebox';
import { closed, PAGE } from './error.js';

/** Trainings and evaluations: runs that outlive the request that asked for them. */
const RUN_STATUSES = ['queued', 'running', 'completed', 'stopped', 'failed', 'interrupted'] as const;
export type ServiceRunStatus = (typeof RUN_STATUSES)[number];

const number = Type.Union([Type.Number(), Type.Null()]);
const count = Type.Integer({ minimum: 0 });
const keys = (of: string) =>
  Type.Object(
    {},
    {
      additionalProperties: true,
      description: `keys of ${of}, over those of config; paths are relative to the root of the service and stay below it`,
    },
  );
const config = (folder: string) =>
  Type.Optional(Type.String({ pattern: '^[a-z0-9][a-z0-9-]{0,63}$', description: `a recipe of ${folder}` }));

const MODELS =
  'model: a name of GET /v1/models, run:ID for what a training of this key has made, run:NAME for the same by the name of its run, or a folder below the root. With run:ID the training may still wait or run: what uses its model waits for its end, and fails with RUN_NOT_FOUND where it made none';
export const TrainRunBody = Type.Object(
  { config: config('configs/train'), recipe: keys('a training recipe (TrainRecipe)') },
  { ...closed, description: MODELS },
);
/** A training recipe, or changes to a named one. */
export interface TrainRunBody extends Static<typeof TrainRunBody> {}
export const EvaluationBody = Type.Object(
  { config: config('configs/evaluate'), recipe: keys('an evaluation recipe (EvaluateRecipe)') },
  { ...closed, description: MODELS },
);
/** An evaluation recipe, or changes to a named one. */
export interface EvaluationBody extends Static<typeof EvaluationBody> {}

const common = {
  id: Type.String(),
  name: Type.String(),
  status: Type.Enum([...RUN_STATUSES], { description: 'interrupted: the service ended under it; resume goes on' }),
  message: Type.Union([Type.String(), Type.Null()]),
  created_at: Type.Number({ description: 'seconds since 1970' }),
  finished_at: number,
};

export const TrainRun = Type.Object(
  {
    ...common,
    run: Type.Union([Type.String(), Type.Null()], {
      description: 'the run of "qalign runs"; null until the data is prepared',
    }),
    step: count,
    total_steps: Type.Union([count, Type.Null()]),
    loss: number,
    srcc: number,
    plcc: number,
    recipe: Type.Optional(Type.Object({}, { additionalProperties: true })),
  },
  closed,
);
/** The state of a training. */
export interface TrainRun extends Static<typeof TrainRun> {}
export const TrainRunList = Type.Object({ train_runs: Type.Array(TrainRun) }, closed);
/** Trainings, the newest first. */
export interface TrainRunList extends Static<typeof TrainRunList> {}

const EvaluatedSet = Type.Object(
  {
    dataset: Type.String(),
    records: count,
    failed: count,
    metrics: Type.Object(
      {
        n: count,
        srcc: number,
        plcc: number,
        plcc_logistic: number,
        krcc: number,
        rmse: number,
        level_accuracy: number,
      },
      { additionalProperties: true },
    ),
  },
  closed,
);
export const Evaluation = Type.Object(
  {
    ...common,
    result: Type.Union([
      Type.Null(),
      Type.Object(
        {
          model: Type.String(),
          untrained: Type.Boolean(),
          weights_sha256: Type.String(),
          score_version: Type.String(),
          datasets: Type.Array(EvaluatedSet),
        },
        closed,
      ),
    ]),
    recipe: Type.Optional(Type.Object({}, { additionalProperties: true })),
  },
  closed,
);
/** The state of an evaluation and, when it has ended, its result. */
export interface Evaluation extends Static<typeof Evaluation> {}
export const EvaluationList = Type.Object({ evaluations: Type.Array(Evaluation) }, closed);
/** Evaluations, the newest first. */
export interface EvaluationList extends Static<typeof EvaluationList> {}

export const TrainRunParams = Type.Object({ id: Type.String({ pattern: '^run_[0-9a-f]{24}$' }) }, closed);
export const EvaluationParams = Type.Object({ id: Type.String({ pattern: '^eval_[0-9a-f]{24}$' }) }, closed);
export const RunListQuery = Type.Object(
  {
    ...PAGE,
    status: Type.Optional(Type.Enum([...RUN_STATUSES])),
  },
  closed,
);
/** What a stream of events carries: `event` names it, "end" is the last. */
export type RunEvent = { readonly event: string; readonly time: number; readonly [key: string]: unknown };
