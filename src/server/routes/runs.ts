import type { TObject } from 'typebox';
import { QalignError, type ErrorCode } from '../../base/errors.js';
import { DEFAULT_MODEL } from '../../config/models.js';
import { EXAMPLE_EVALUATION, EXAMPLE_TRAIN_RUN } from '../../api/examples.js';
import {
  Evaluation,
  EvaluationBody,
  EvaluationList,
  EvaluationParams,
  RunListQuery,
  TrainRun,
  TrainRunBody,
  TrainRunList,
  TrainRunParams,
} from '../../api/runs.js';
import type { Caller } from '../http/caller.js';
import { EVENT } from '../http/sse.js';
import { defineRoute, type Route } from '../route.js';
import { evaluationAnswer, trainRunAnswer } from '../runs/answers.js';
import {
  createServiceRun,
  findServiceRun,
  followServiceRun,
  listServiceRuns,
  readEvaluation,
  readTraining,
  resumeServiceRun,
  type RunServices,
} from '../runs/requests.js';
import type { RunKind, ServiceRun } from '../runs/store.js';

/** One kind of run as a resource: its schemas, and its differences from the other kind. */
interface RunResource {
  readonly kind: RunKind;
  readonly path: string;
  readonly tag: string;
  readonly body: TObject;
  readonly params: typeof TrainRunParams;
  readonly schema: TObject;
  readonly list: TObject;
  /** Key of the list in the answer. */
  readonly plural: string;
  /** An id for the examples of RUN_NOT_FOUND. */
  readonly unknownId: string;
  /** Reads the body of a request and returns the complete recipe with every path resolved. */
  readonly readRecipe: (call: Caller, services: RunServices) => Promise<{ readonly name: string }>;
  readonly toAnswer: (run: ServiceRun, services: RunServices) => Promise<object>;
}

/** The texts of a row, with the schema of its answer. */
interface RowWords extends Pick<Route, 'summary' | 'description'> {
  readonly answer: string;
}

const CREATE_ERRORS: readonly ErrorCode[] = [
  'BODY_INVALID',
  'BODY_TOO_LARGE',
  'BODY_UNSUPPORTED',
  'MALFORMED',
  'CONFIG_INVALID',
  'CONFIG_NOT_FOUND',
  'PATH_FORBIDDEN',
  'MEDIA_NOT_FOUND',
  'RUN_NOT_FOUND',
];

function createRow(
  resource: RunResource,
  words: RowWords & Pick<Route, 'examples'> & { readonly key: string; readonly errors: readonly ErrorCode[] },
): Route<RunServices> {
  return defineRoute({
    method: 'post',
    path: resource.path,
    scope: 'train',
    tag: resource.tag,
    ...textOf(words),
    headers: { 'Idempotency-Key': words.key },
    body: { 'application/json': resource.body },
    answers: { 202: { description: words.answer, schema: resource.schema } },
    errors: [...CREATE_ERRORS, ...words.errors],
    examples: words.examples,
    async handle(call, services: RunServices) {
      if (services.ending.aborted)
        throw new QalignError('SHUTTING_DOWN', 'The service is shutting down; try again later.');
      const recipe = await resource.readRecipe(call, services);
      const { run, replayed } = createServiceRun(call, services, resource.kind, recipe);
      const location = `${resource.path}/${run.id}`;
      call.res.set({ Location: location, ...(replayed ? { 'Idempotency-Replayed': 'true' } : {}) });
      call.answer(202, await resource.toAnswer(run, services));
    },
  });
}

function listRow(resource: RunResource, words: RowWords & Pick<Route, 'examples'>): Route<RunServices> {
  return defineRoute({
    method: 'get',
    path: resource.path,
    scope: 'train',
    tag: resource.tag,
    ...textOf(words),
    query: RunListQuery,
    answers: { 200: { description: words.answer, schema: resource.list } },
    examples: words.examples,
    async handle(call, services: RunServices) {
      const found = listServiceRuns(call, services, resource.kind);
      const rows = await Promise.all(found.map((run) => resource.toAnswer(run, services)));
      call.answer(200, { [resource.plural]: rows });
    },
  });
}

const showRow = (resource: RunResource, words: RowWords): Route<RunServices> =>
  defineRoute({
    ...ofOneRun(resource, '', words),
    method: 'get',
    answers: { 200: { description: words.answer, schema: resource.schema } },
    errors: ['RUN_NOT_FOUND'],
    async handle(call, services: RunServices) {
      const run = findServiceRun(call, services);
      call.answer(200, { ...(await resource.toAnswer(run, services)), recipe: services.redact(run.recipe) });
    },
  });

const eventsRow = (resource: RunResource, words: RowWords): Route<RunServices> =>
  defineRoute({
    ...ofOneRun(resource, '/events', words),
    method: 'get',
    headers: { 'Last-Event-ID': 'id of the last event that the client received' },
    answers: { 200: { description: words.answer, types: ['text/event-stream'], schema: EVENT } },
    errors: ['RUN_NOT_FOUND', 'MALFORMED'],
    handle: (call, services: RunServices) => followServiceRun(call, services),
  });

const stopRow = (resource: RunResource, words: RowWords): Route<RunServices> =>
  defineRoute({
    ...ofOneRun(resource, '/stop', words),
    method: 'post',
    answers: { 202: { description: words.answer, schema: resource.schema } },
    errors: ['RUN_NOT_FOUND'],
    async handle(call, services: RunServices) {
      const run = findServiceRun(call, services);
      services.runQueue.stop(run.id);
      call.answer(202, await resource.toAnswer(run, services));
    },
  });

const resumeRow = (resource: RunResource, words: RowWords): Route<RunServices> =>
  defineRoute({
    ...ofOneRun(resource, '/resume', words),
    method: 'post',
    answers: { 202: { description: words.answer, schema: resource.schema } },
    errors: ['RUN_NOT_FOUND', 'RUN_ACTIVE', 'PATH_FORBIDDEN'],
    handle: async (call, services: RunServices) =>
      call.answer(202, await resource.toAnswer(await resumeServiceRun(call, services), services)),
  });

const ofOneRun = ({ path, tag, params, unknownId }: RunResource, end: string, words: RowWords) => ({
  path: `${path}/{id}${end}`,
  scope: 'train' as const,
  tag,
  ...textOf(words),
  params,
  examples: [{ name: 'an unknown id', status: 404, params: { id: unknownId } }],
});

const textOf = ({ summary, description }: RowWords): Pick<Route, 'summary' | 'description'> => ({
  summary,
  ...(description === undefined ? {} : { description }),
});

const trainRuns: RunResource = {
  kind: 'run',
  path: '/v1/train_runs',
  tag: 'training',
  body: TrainRunBody,
  params: TrainRunParams,
  schema: TrainRun,
  list: TrainRunList,
  plural: 'train_runs',
  unknownId: EXAMPLE_TRAIN_RUN,
  readRecipe: readTraining,
  toAnswer: trainRunAnswer,
};

export const trainRunRoutes: readonly Route<RunServices>[] = [
  createRow(trainRuns, {
    summary: 'train a model from a recipe',
    description:
      'The recipe is a name of configs/train, optionally with changed keys, or a complete recipe. The service trains one run at a time; others wait. A run is a directory, as in "qalign runs". It survives the service, and resume continues from its last checkpoint.',
    key: 'a repeated request with this key finds the first run',
    answer: 'accepted',
    errors: ['IDEMPOTENCY_CONFLICT'],
    examples: [
      {
        name: 'a recipe with data outside the root',
        status: 403,
        body: {
          config: 'koniq',
          recipe: { model: DEFAULT_MODEL, device: 'cpu', data: { train: ['../elsewhere.jsonl'] } },
        },
      },
    ],
  }),
  listRow(trainRuns, {
    summary: 'runs of this key, newest first (all of them for admin)',
    answer: 'the runs',
    examples: [{ name: 'failed runs', status: 200, query: { status: 'failed' } }],
  }),
  showRow(trainRuns, { summary: 'state, progress and recipe of a run', answer: 'the run' }),
  eventsRow(trainRuns, {
    summary: 'steps, evaluations and checkpoints as server-sent events',
    description:
      'Events "setup", "preparing", those of training ("started", "step", "evaluation", "checkpoint", …), and "end" as the last. A client that reconnects with Last-Event-ID misses nothing.',
    answer: 'a stream that ends with the run',
  }),
  stopRow(trainRuns, {
    summary: 'stop a run after its current step, with a checkpoint',
    description: 'Answers at once. The run has ended when its status is "stopped".',
    answer: 'the stop is requested; an ended run does not change',
  }),
  resumeRow(trainRuns, {
    summary: 'continue from the last complete checkpoint',
    answer: 'the run continues; a completed run does not change',
  }),
];

const evaluations: RunResource = {
  kind: 'eval',
  path: '/v1/evaluations',
  tag: 'evaluation',
  body: EvaluationBody,
  params: EvaluationParams,
  schema: Evaluation,
  list: EvaluationList,
  plural: 'evaluations',
  unknownId: EXAMPLE_EVALUATION,
  readRecipe: readEvaluation,
  toAnswer: evaluationAnswer,
};

export const evaluationRoutes: readonly Route<RunServices>[] = [
  createRow(evaluations, {
    summary: 'correlations of a model with mean opinion scores',
    description:
      'The recipe is a name of configs/evaluate, optionally with changed keys, or a complete recipe. The service runs one evaluation at a time, and loads a separate model for it. Predictions survive the end of the service, and resume continues them.',
    key: 'a repeated request with this key finds the first evaluation',
    answer: 'accepted',
    errors: ['EVALUATION_NOT_READY', 'IDEMPOTENCY_CONFLICT'],
    examples: [
      {
        name: 'a recipe with a misspelt key',
        status: 422,
        body: { recipe: { name: 'mine', model: DEFAULT_MODEL, dta: [] } },
      },
    ],
  }),
  listRow(evaluations, {
    summary: 'evaluations of this key, newest first (all of them for admin)',
    answer: 'the evaluations',
    examples: [{ name: 'all', status: 200 }],
  }),
  showRow(evaluations, {
    summary: 'an evaluation and, when it is completed, its result',
    answer: 'the evaluation',
  }),
  eventsRow(evaluations, {
    summary: 'progress as server-sent events',
    description: 'Sends "loading", "predicting" and "evaluated" events, and "end" as the last.',
    answer: 'a stream that ends with the evaluation',
  }),
  stopRow(evaluations, {
    summary: 'stop an evaluation; its predictions remain',
    answer: 'the stop is requested; an ended evaluation does not change',
  }),
  resumeRow(evaluations, {
    summary: 'continue a stopped evaluation',
    answer: 'the evaluation continues; a completed one does not change',
  }),
];
