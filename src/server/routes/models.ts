import { defineRoute } from '../route.js';
import { ModelList, ModelParams, ModelRow } from '../../api/models.js';
import { QalignError } from '../../base/errors.js';
import { DEFAULT_MODEL, modelNames } from '../../config/models.js';
import type { ModelPool } from '../score/model-pool.js';

export interface ModelRouteServices {
  readonly models: ModelPool;
}

export const listModels = defineRoute({
  method: 'get',
  path: '/v1/models',
  scope: 'any',
  tag: 'models',
  summary: 'models that can be loaded, and loaded models',
  answers: { 200: { description: 'all models with a description', schema: ModelList } },
  examples: [{ name: 'all', status: 200 }],
  handle: async (call, { models }: ModelRouteServices) => call.answer(200, { models: await models.rows() }),
});

export const loadModel = defineRoute({
  method: 'post',
  path: '/v1/models/{id}/load',
  scope: 'admin',
  tag: 'models',
  summary: 'load a model; the answer follows when it is loaded',
  params: ModelParams,
  answers: { 200: { description: 'the loaded model', schema: ModelRow } },
  errors: [
    'CONFIG_NOT_FOUND',
    'MODEL_NOT_FOUND',
    'MODEL_INVALID',
    'MODEL_DOWNLOAD_FAILED',
    'OUT_OF_MEMORY',
    'DEVICE_UNAVAILABLE',
    'WORKER_START_FAILED',
    'OVERLOADED',
  ],
  examples: [{ name: 'a model that is loaded already', status: 200, params: { id: DEFAULT_MODEL } }],
  async handle(call, { models }: ModelRouteServices) {
    const { id } = call.params;
    if (!models.loaded.has(id) && !(await modelNames()).includes(id))
      throw new QalignError('CONFIG_NOT_FOUND', `There is no model "${id}"; see GET /v1/models.`);
    await models.load(id);
    call.answer(200, await rowOf(models, id));
  },
});

export const unloadModel = defineRoute({
  method: 'post',
  path: '/v1/models/{id}/unload',
  scope: 'admin',
  tag: 'models',
  summary: 'unload a model after its running requests',
  params: ModelParams,
  answers: { 200: { description: 'the unloaded model', schema: ModelRow } },
  errors: ['CONFIG_NOT_FOUND', 'MODEL_NOT_LOADED'],
  examples: [{ name: 'a model that is not loaded', status: 409, params: { id: 'one-align' } }],
  async handle(call, { models }: ModelRouteServices) {
    const row = await rowOf(models, call.params.id);
    await models.unload(call.params.id);
    const { weights_sha256: _w, precision: _p, workers_ready: _r, device_memory: _m, ...rest } = row;
    call.answer(200, { ...rest, state: 'available' });
  },
});

async function rowOf(models: ModelPool, id: string): Promise<ModelRow> {
  const row = (await models.rows()).find((one) => one.id === id);
  if (row === undefined) throw new QalignError('CONFIG_NOT_FOUND', `There is no model "${id}"; see GET /v1/models.`);
  return row;
}
