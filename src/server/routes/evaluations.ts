import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import Type from 'typebox';
import { QalignError } from '../../base/errors.js';
import type { EvaluateResult } from '../../recipes/evaluate/evaluate.js';
import { checkReady, describeMissing } from '../../recipes/evaluate/ready.js';
import { defineRoute } from '../route.js';
import { EXAMPLE_EVALUATION } from '../../api/examples.js';
import { Evaluation, EvaluationBody, EvaluationList, EvaluationParams, RunListQuery } from '../../api/runs.js';
import { readJson } from '../http/json-body.js';
import {
  common,
  createServiceRun,
  findServiceRun,
  listServiceRuns,
  resumeServiceRun,
  type RunServices,
} from '../runs/create.js';
import { settleEvaluation } from '../runs/recipes.js';
import type { ServiceRun } from '../runs/store.js';
import { followServiceRun } from './train-runs.js';

const UNKNOWN = { name: 'one that is not there', status: 404, params: { id: EXAMPLE_EVALUATION } };

export const createEvaluation = defineRoute({
  method: 'post',
  path: '/v1/evaluations',
  scope: 'train',
  tag: 'evaluation',
  summary: 'correlations of a model with mean opinion scores',
  description:
    'The recipe is one of configs/evaluate, keys of your own over it, or whole. One evaluation runs at a time, with a model of its own. Predictions stay where an end of the service left them; resume goes on.',
  headers: { 'Idempotency-Key': 'one evaluation for it, however often it is sent' },
  body: { 'application/json': EvaluationBody },
  answers: { 202: { description: 'accepted', schema: Evaluation } },
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
    'EVALUATION_NOT_READY',
    'IDEMPOTENCY_CONFLICT',
  ],
  examples: [
    {
      name: 'a recipe with a misspelt key',
      status: 422,
      body: { recipe: { name: 'mine', model: 'tiny-untrained', dta: [] } },
    },
  ],
  async handle(call, services: RunServices) {
    const { config, ending, places, redactError } = services;
    if (ending.aborted) throw new QalignError('SHUTTING_DOWN', 'The service is ending; try again later.');
    const recipe = await settleEvaluation(await readJson(call, EvaluationBody, config), places).catch(redactError);
    const { missing } = await checkReady(recipe).catch(redactError);
    if (missing.length > 0)
      await redactError(
        new QalignError(
          'EVALUATION_NOT_READY',
          `${recipe.name} cannot be evaluated on this machine:\n${describeMissing(missing)}`,
        ),
      );
    const { run, replayed } = createServiceRun(call, services, 'eval', recipe.name, recipe);
    call.res.set({ Location: `/v1/evaluations/${run.id}`, ...(replayed ? { 'Idempotency-Replayed': 'true' } : {}) });
    call.answer(202, await toJson(services, run));
  },
});

export const listEvaluations = defineRoute({
  method: 'get',
  path: '/v1/evaluations',
  scope: 'train',
  tag: 'evaluation',
  summary: 'evaluations of this key, newest first (all of them for admin)',
  query: RunListQuery,
  answers: { 200: { description: 'the evaluations', schema: EvaluationList } },
  examples: [{ name: 'all', status: 200 }],
  handle: async (call, services: RunServices) =>
    call.answer(200, {
      evaluations: await Promise.all(listServiceRuns(call, services, 'eval').map((run) => toJson(services, run))),
    }),
});

export const showEvaluation = defineRoute({
  method: 'get',
  path: '/v1/evaluations/{id}',
  scope: 'train',
  tag: 'evaluation',
  summary: 'an evaluation and, when it is completed, its result',
  params: EvaluationParams,
  answers: { 200: { description: 'the evaluation', schema: Evaluation } },
  errors: ['RUN_NOT_FOUND'],
  examples: [UNKNOWN],
  async handle(call, services: RunServices) {
    const run = findServiceRun(call, services);
    call.answer(200, { ...(await toJson(services, run)), recipe: services.redact(run.recipe) });
  },
});

export const evaluationEvents = defineRoute({
  method: 'get',
  path: '/v1/evaluations/{id}/events',
  scope: 'train',
  tag: 'evaluation',
  summary: 'progress as server-sent events',
  description: 'Events "loading", "predicting", "evaluated" and at last "end".',
  params: EvaluationParams,
  headers: { 'Last-Event-ID': 'the id of the last event that was seen' },
  answers: {
    200: { description: 'a stream that ends with the evaluation', types: ['text/event-stream'], schema: Type.String() },
  },
  errors: ['RUN_NOT_FOUND', 'MALFORMED'],
  examples: [UNKNOWN],
  handle: (call, services: RunServices) => followServiceRun(call, services),
});

export const stopEvaluation = defineRoute({
  method: 'post',
  path: '/v1/evaluations/{id}/stop',
  scope: 'train',
  tag: 'evaluation',
  summary: 'stop an evaluation; its predictions stay',
  params: EvaluationParams,
  answers: { 202: { description: 'asked to stop; one that had ended is left as it is', schema: Evaluation } },
  errors: ['RUN_NOT_FOUND'],
  examples: [UNKNOWN],
  async handle(call, services: RunServices) {
    const run = findServiceRun(call, services);
    services.runQueue.stop(run.id);
    call.answer(202, await toJson(services, run));
  },
});

export const resumeEvaluation = defineRoute({
  method: 'post',
  path: '/v1/evaluations/{id}/resume',
  scope: 'train',
  tag: 'evaluation',
  summary: 'go on where it ended',
  params: EvaluationParams,
  answers: { 202: { description: 'it goes on; a completed one is left as it is', schema: Evaluation } },
  errors: ['RUN_NOT_FOUND', 'RUN_ACTIVE', 'PATH_FORBIDDEN'],
  examples: [UNKNOWN],
  handle: async (call, services: RunServices) =>
    call.answer(202, await toJson(services, await resumeServiceRun(call, services))),
});

async function toJson({ runQueue, redact }: RunServices, run: ServiceRun): Promise<Evaluation> {
  return {
    ...common(run),
    result:
      run.status === 'completed' ? redact(await readResult(join(runQueue.folder(run.id), 'evaluation.json'))) : null,
  };
}

async function readResult(file: string): Promise<Evaluation['result']> {
  const { model, score_version, datasets } = JSON.parse(await readFile(file, 'utf8')) as EvaluateResult;
  return {
    model: model.id,
    untrained: model.untrained,
    weights_sha256: model.weights_sha256,
    score_version,
    datasets: datasets.map(({ dataset, records, failed, metrics }) => ({
      dataset,
      records,
      failed: failed.length,
      metrics: { ...metrics },
    })),
  };
}
