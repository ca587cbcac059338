import Type, { type Static } from 'typebox';
import { closed, PAGE } from './error.js';

/** Trainings and evaluations: runs that continue after the request that started them. */
const RUN_STATUSES = ['queued', 'running', 'completed', 'stopped', 'failed', 'interrupted'] as const;
export type ServiceRunStatus = (typeof RUN_STATUSES)[number];

const number = (description: string) => Type.Union([Type.Number(), Type.Null()], { description });
const count = (description: string) => Type.Integer({ minimum: 0, description });
const keys = (of: string) =>
  Type.Object(
    {},
    {
      additionalProperties: true,
      description: `keys of ${of}, which override those of config; paths are relative to the root of the service and must be below it`,
    },
  );
const config = (folder: string) =>
  Type.Optional(Type.String({ pattern: '^[a-z0-9][a-z0-9-]{0,63}$', description: `a recipe of ${folder}` }));

const MODELS =
  'model is a name of GET /v1/models, a folder below the root, run:ID or run:NAME. The training ID belongs to this key. The run directory NAME belongs to no other key. With run:ID, the training can still be waiting or running. The request then waits for its end, and fails with RUN_NOT_FOUND if the training produced no model';
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
  id: Type.String({ description: 'id of the training or evaluation' }),
  name: Type.String({ description: 'name of its recipe' }),
  status: Type.Enum([...RUN_STATUSES], {
    description: 'interrupted: the service ended before the run did; resume continues it',
  }),
  message: Type.Union([Type.String(), Type.Null()], {
    description: 'reason why the run waits or failed; null: no message',
  }),
  created_at: Type.Number({ description: 'time of the request, in seconds since 1970' }),
  finished_at: number('time when the run ended, in seconds since 1970; null: it has not ended'),
};

const recipe = Type.Optional(
  Type.Object(
    {},
    { additionalProperties: true, description: 'the resolved recipe; only in answers about a single run' },
  ),
);

export const TrainRun = Type.Object(
  {
    ...common,
    run: Type.Union([Type.String(), Type.Null()], {
      description: 'name of the run in "qalign runs"; null until the data is prepared',
    }),
    step: count('number of updates so far'),
    total_steps: Type.Union([Type.Integer({ minimum: 0 }), Type.Null()], {
      description: 'total number of updates; null until it is known',
    }),
    loss: number('loss of the last update'),
    srcc: number('SRCC of the last evaluation on data.dev'),
    plcc: number('PLCC of the last evaluation on data.dev'),
    recipe,
  },
  closed,
);
/** The state of a training. */
export interface TrainRun extends Static<typeof TrainRun> {}
export const TrainRunList = Type.Object(
  { train_runs: Type.Array(TrainRun, { description: 'the newest first' }) },
  closed,
);
/** Trainings, the newest first. */
export interface TrainRunList extends Static<typeof TrainRunList> {}

const EvaluatedSet = Type.Object(
  {
    dataset: Type.String({ description: 'name of the entry in data' }),
    records: count('number of records'),
    failed: count('number of records that could not be scored'),
    metrics: Type.Object(
      {
        n: count('number of items that were scored'),
        srcc: number('Spearman rank correlation'),
        plcc: number('Pearson correlation of the raw scores'),
        plcc_logistic: number('Pearson correlation after the 4-parameter logistic function'),
        krcc: number('Kendall rank correlation'),
        rmse: number('root mean square error after the logistic function, in units of the MOS'),
        level_accuracy: number('fraction of items whose most probable level is the level of the MOS'),
      },
      { additionalProperties: true, description: 'agreement with the ratings; a metric that does not exist is null' },
    ),
  },
  closed,
);
export const Evaluation = Type.Object(
  {
    ...common,
    result: Type.Union(
      [
        Type.Null(),
        Type.Object(
          {
            model: Type.String({ description: 'model that was evaluated' }),
            untrained: Type.Boolean({
              description: 'true: the weights of the model are random, so the figures have no meaning',
            }),
            weights_sha256: Type.String({ description: 'SHA-256 of the weights' }),
            score_version: Type.String({ description: 'hash of everything that determines a score' }),
            datasets: Type.Array(EvaluatedSet, { description: 'a row for each entry of data' }),
          },
          closed,
        ),
      ],
      { description: 'results; null until the evaluation has completed' },
    ),
    recipe,
  },
  closed,
);
/** The state of an evaluation and, when it has ended, its result. */
export interface Evaluation extends Static<typeof Evaluation> {}
export const EvaluationList = Type.Object(
  { evaluations: Type.Array(Evaluation, { description: 'the newest first' }) },
  closed,
);
/** Evaluations, the newest first. */
export interface EvaluationList extends Static<typeof EvaluationList> {}

export const TrainRunParams = Type.Object(
  { id: Type.String({ pattern: '^run_[0-9a-f]{24}$', description: 'id of a training' }) },
  closed,
);
export const EvaluationParams = Type.Object(
  { id: Type.String({ pattern: '^eval_[0-9a-f]{24}$', description: 'id of an evaluation' }) },
  closed,
);
export const RunListQuery = Type.Object(
  {
    ...PAGE,
    status: Type.Optional(Type.Enum([...RUN_STATUSES], { description: 'return only runs with this status' })),
  },
  closed,
);
/** An event of a stream. `event` is its type; "end" is the last. */
export type RunEvent = { readonly event: string; readonly time: number; readonly [key: string]: unknown };
