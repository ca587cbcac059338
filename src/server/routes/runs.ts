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

/** One kind of run as a resource: its schemas, and what is done otherwise than for the other kind. */
interface RunResource {
  readonly kind: RunKind;
  readonly path: string;
  readonly tag: string;
  readonly body: TObject;
  readonly params: typeof TrainRunParams;
  readonly schema: TObject;
  readonly list: TObject;
  /** The key of the list in its answer. */
  readonly plural: string;
  /** An id that no run has. */
  readonly unknownId: string;
  /** Reads the body of a request to the recipe that it asks for, complete and with every path resolved. */
  readonly readRecipe: (call: Caller, services: RunServices) => Promise<{ readonly name: string }>;
  readonly toAnswer: (run: ServiceRun, services: RunServices) => Promise<object>;
}

/** The words of a row, with what its answer is. */
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
      if (services.ending.aborted) throw new QalignError('SHUTTING_DOWN', 'The service is ending; try again later.');
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
    headers: { 'Last-Event-ID': 'the id of the last event that was seen' },
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
  examples: [{ name: 'one that is not there', status: 404, params: { id: unknownId } }],
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
    summary: 'train a model by a recipe',
    description:
      'The recipe is one of configs/train, keys of your own over it, or whole. One run is trained at a time, the others wait. A run is a directory, as "qalign runs" shows it: it survives the service, and resume goes on from its last checkpoint.',
    key: 'one run for it, however often it is sent',
    answer: 'accepted',
    errors: ['IDEMPOTENCY_CONFLICT'],
    examples: [
      {
        name: 'a recipe whose data is not below the root',
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
    examples: [{ name: 'those that failed', status: 200, query: { status: 'failed' } }],
  }),
  showRow(trainRuns, { summary: 'how far a run is, and its recipe', answer: 'the run' }),
  eventsRow(trainRuns, {
    summary: 'steps, evaluations and checkpoints as server-sent events',
    description:
      'Events "setup", "preparing", those of training ("started", "step", "evaluation", "checkpoint", …) and at last "end". A client that comes back with Last-Event-ID misses nothing.',
    answer: 'a stream that ends with the run',
  }),
  stopRow(trainRuns, {
    summary: 'end a run after its step, with a checkpoint',
    description: 'Answers at once; the run is over when its status says stopped.',
    answer: 'asked to stop; a run that had ended is left as it is',
  }),
  resumeRow(trainRuns, {
    summary: 'go on from the last complete checkpoint',
    answer: 'it goes on; a completed run is left as it is',
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
      'The recipe is one of configs/evaluate, keys of your own over it, or whole. One evaluation runs at a time, with a model of its own. Predictions stay where an end of the service left them; resume goes on.',
    key: 'one evaluation for it, however often it is sent',
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
    description: 'Events "loading", "predicting", "evaluated" and at last "end".',
    answer: 'a stream that ends with the evaluation',
  }),
  stopRow(evaluations, {
    summary: 'stop an evaluation; its predictions stay',
    answer: 'asked to stop; one that had ended is left as it is',
  }),
  resumeRow(evaluations, {
    summary: 'go on where it ended',
    answer: 'it goes on; a completed one is left as it is',
  }),
];
