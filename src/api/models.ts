import Type, { type Static } from 'typebox';
import { KINDS } from '../prompts/subject.js';
import { closed } from './error.js';

const kinds = (description: string) => Type.Optional(Type.Array(Type.Enum([...KINDS]), { description }));
export const ModelRow = Type.Object(
  {
    id: Type.String({ description: 'name of the model, as requests use it in model' }),
    title: Type.String({ description: 'name as its authors write it' }),
    state: Type.Enum(['loaded', 'loading', 'available'], { description: 'available: known, but not loaded' }),
    default: Type.Boolean({ description: 'true: used for requests without a model' }),
    untrained: Type.Boolean({ description: 'true: its weights are random, so its scores have no meaning' }),
    tasks: Type.Object(
      {
        quality: kinds('kinds of input that the model rates for quality'),
        aesthetics: kinds('kinds of input that the model rates for aesthetics'),
      },
      { ...closed, description: 'tasks that the model supports' },
    ),
    licence: Type.String({ description: 'licence of the weights' }),
    weights_sha256: Type.Optional(Type.String({ description: 'digest of the loaded weights' })),
    precision: Type.Optional(
      Type.String({ description: 'fp32, bf16, fp16, fp8, int8 or nf4; only for a loaded model' }),
    ),
    workers_ready: Type.Optional(
      Type.Integer({ minimum: 0, description: 'number of workers that accept batches; only for a loaded model' }),
    ),
  },
  closed,
);
/** A model: its tasks and its state. */
export interface ModelRow extends Static<typeof ModelRow> {}
export const ModelList = Type.Object(
  { models: Type.Array(ModelRow, { description: 'in alphabetical order' }) },
  closed,
);
/** All models that have a description. */
export interface ModelList extends Static<typeof ModelList> {}
export const ModelParams = Type.Object(
  { id: Type.String({ pattern: '^[a-z0-9][a-z0-9-]{0,63}$', description: 'name of the model in configs/models' }) },
  closed,
);

export const Health = Type.Object(
  {
    status: Type.Literal('ok', { description: 'the process is running' }),
    version: Type.String({ description: 'version of qalign' }),
    uptime_s: Type.Number({ minimum: 0, description: 'seconds since the start' }),
  },
  closed,
);
export const Readiness = Type.Object(
  {
    ready: Type.Boolean({ description: 'true: requests are accepted' }),
    workers_ready: Type.Integer({ minimum: 0, description: 'number of workers that accept batches' }),
    models: Type.Array(Type.String(), { description: 'loaded models' }),
    devices: Type.Array(
      Type.Object(
        {
          model: Type.String({ description: 'model of the worker' }),
          device: Type.String({ description: 'device of the worker' }),
          state: Type.Enum(['ready', 'late', 'starting', 'silent', 'set_aside'], {
            description:
              'late: the oldest batch takes longer than request_ms; silent: the worker does not answer; set_aside: the worker failed repeatedly and is restarted later',
          }),
          restarts: Type.Integer({ minimum: 0, description: 'number of restarts of the worker' }),
        },
        closed,
      ),
      { description: 'a row for each worker' },
    ),
  },
  closed,
);
