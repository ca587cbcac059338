import { existsSync } from 'node:fs';
import { basename, join } from 'node:path';
import Type from 'typebox';
import { QalignError } from '../../base/errors.js';
import { summarise } from '../../runs/run-directory.js';
import type { Caller } from '../http/caller.js';
import { defineRoute } from '../route.js';
import { EXAMPLE_TRAIN_RUN } from '../../api/examples.js';
import { TrainRun, TrainRunBody, TrainRunList, TrainRunParams, RunListQuery } from '../../api/runs.js';
import { readJson } from '../http/json-body.js';
import { streamEvents } from '../http/sse.js';
import {
  common,
  createServiceRun,
  findServiceRun,
  listServiceRuns,
  resumeServiceRun,
  type RunServices,
} from '../runs/create.js';
import { settleTraining } from '../runs/recipes.js';
import type { ServiceRun } from '../runs/store.js';

const UNKNOWN = { name: 'one that is not there', status: 404, params: { id: EXAMPLE_TRAIN_RUN } };

export const createTrainRun = defineRoute({
  method: 'post',
  path: '/v1/train_runs',
  scope: 'train',
  tag: 'training',
  summary: 'train a model by a recipe',
  description:
    'The recipe is one of configs/train, keys of your own over it, or whole. One run is trained at a time, the others wait. A run is a directory, as "qalign runs" shows it: it survives the service, and resume goes on from its last checkpoint.',
  headers: { 'Idempotency-Key': 'one run for it, however often it is sent' },
  body: { 'application/json': TrainRunBody },
  answers: { 202: { description: 'accepted', schema: TrainRun } },
  errors: [
    'BODY_INVALID',
    'BODY_TOO_LARGE',
    'BODY_UNSUPPORTED',
    'MALFORMED',
    'CONFIG_INVALID',
    'CONFIG_NOT_FOUND',
    'PATH_FORBIDDEN',
    'MEDIA_NOT_FOUND',
    'RUN_NOT_FOUND',
    'IDEMPOTENCY_CONFLICT',
  ],
  examples: [
    {
      name: 'a recipe whose data is not below the root',
      status: 403,
      body: {
        config: 'koniq',
        recipe: { model: 'tiny-untrained', device: 'cpu', data: { train: ['../elsewhere.jsonl'] } },
      },
    },
  ],
  async handle(call, services: RunServices) {
    const { config, ending, places, redactError } = services;
    if (ending.aborted) throw new QalignError('SHUTTING_DOWN', 'The service is ending; try again later.');
    const recipe = await settleTraining(await readJson(call, TrainRunBody, config), places).catch(redactError);
    const { run: made, replayed } = createServiceRun(call, services, 'run', recipe.name, recipe);
    call.res.set({ Location: `/v1/train_runs/${made.id}`, ...(replayed ? { 'Idempotency-Replayed': 'true' } : {}) });
    call.answer(202, await toJson(made));
  },
});

export const listTrainRuns = defineRoute({
  method: 'get',
  path: '/v1/train_runs',
  scope: 'train',
  tag: 'training',
  summary: 'runs of this key, newest first (all of them for admin)',
  query: RunListQuery,
  answers: { 200: { description: 'the runs', schema: TrainRunList } },
  examples: [{ name: 'those that failed', status: 200, query: { status: 'failed' } }],
  handle: async (call, services: RunServices) =>
    call.answer(200, { train_runs: await Promise.all(listServiceRuns(call, services, 'run').map(toJson)) }),
});

export const showTrainRun = defineRoute({
  method: 'get',
  path: '/v1/train_runs/{id}',
  scope: 'train',
  tag: 'training',
  summary: 'how far a run is, and its recipe',
  params: TrainRunParams,
  answers: { 200: { description: 'the run', schema: TrainRun } },
  errors: ['RUN_NOT_FOUND'],
  examples: [UNKNOWN],
  async handle(call, services: RunServices) {
    const made = findServiceRun(call, services);
    call.answer(200, { ...(await toJson(made)), recipe: services.redact(made.recipe) });
  },
});

export const trainRunEvents = defineRoute({
  method: 'get',
  path: '/v1/train_runs/{id}/events',
  scope: 'train',
  tag: 'training',
  summary: 'steps, evaluations and checkpoints as server-sent events',
  description:
    'Events "setup", "preparing", those of training ("started", "step", "evaluation", "checkpoint", …) and at last "end". A client that comes back with Last-Event-ID misses nothing.',
  params: TrainRunParams,
  headers: { 'Last-Event-ID': 'the id of the last event that was seen' },
  answers: {
    200: { description: 'a stream that ends with the run', types: ['text/event-stream'], schema: Type.String() },
  },
  errors: ['RUN_NOT_FOUND', 'MALFORMED'],
  examples: [UNKNOWN],
  handle: (call, services: RunServices) => followServiceRun(call, services),
});

export const stopTrainRun = defineRoute({
  method: 'post',
  path: '/v1/train_runs/{id}/stop',
  scope: 'train',
  tag: 'training',
  summary: 'end a run after its step, with a checkpoint',
  description: 'Answers at once; the run is over when its status says stopped.',
  params: TrainRunParams,
  answers: { 202: { description: 'asked to stop; a run that had ended is left as it is', schema: TrainRun } },
  errors: ['RUN_NOT_FOUND'],
  examples: [UNKNOWN],
  async handle(call, services: RunServices) {
    const made = findServiceRun(call, services);
    services.runQueue.stop(made.id);
    call.answer(202, await toJson(made));
  },
});

export const resumeTrainRun = defineRoute({
  method: 'post',
  path: '/v1/train_runs/{id}/resume',
  scope: 'train',
  tag: 'training',
  summary: 'go on from the last complete checkpoint',
  params: TrainRunParams,
  answers: { 202: { description: 'it goes on; a completed run is left as it is', schema: TrainRun } },
  errors: ['RUN_NOT_FOUND', 'RUN_ACTIVE', 'PATH_FORBIDDEN'],
  examples: [UNKNOWN],
  handle: async (call, services: RunServices) => call.answer(202, await toJson(await resumeServiceRun(call, services))),
});

/** The stream of a training or an evaluation. */
export function followServiceRun(call: Caller<{ id: string }>, services: RunServices): Promise<void> {
  const { runQueue, ending } = services;
  const { id } = findServiceRun(call, services);
  return streamEvents(call, {
    file: join(runQueue.folder(id), 'events.jsonl'),
    ended: () => !runQueue.isActive(id),
    ending,
  });
}

async function toJson(made: ServiceRun): Promise<TrainRun> {
  const { folder } = made;
  const run = folder === undefined || !existsSync(join(folder, 'recipe.json')) ? undefined : await summarise(folder);
  return {
    ...common(made),
    run: folder === undefined ? null : basename(folder),
    step: run?.step ?? 0,
    total_steps: run?.totalSteps ?? null,
    loss: run?.loss ?? null,
    srcc: run?.srcc ?? null,
    plcc: run?.plcc ?? null,
  };
}
