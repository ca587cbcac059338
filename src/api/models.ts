import Type, { type Static } from 'typebox';
import { KINDS } from '../prompts/subject.js';
import { closed } from './error.js';

const kinds = (description: string) => Type.Optional(Type.Array(Type.Enum([...KINDS]), { description }));
export const ModelRow = Type.Object(
  {
    id: Type.String({ description: 'name of the model, for model of a request' }),
    title: Type.String({ description: 'name as its authors write it' }),
    state: Type.Enum(['loaded', 'loading', 'available'], { description: 'available: described here, but not loaded' }),
    default: Type.Boolean({ description: 'used when a request names no model' }),
    untrained: Type.Boolean({ description: 'its numbers mean nothing' }),
    tasks: Type.Object(
      {
        quality: kinds('kinds of input that it rates for quality'),
        aesthetics: kinds('kinds of input that it rates for aesthetics'),
      },
      { ...closed, description: 'what it rates' },
    ),
    licence: Type.String({ description: 'licence of the weights' }),
    weights_sha256: Type.Optional(Type.String({ description: 'digest of the loaded weights' })),
    precision: Type.Optional(Type.String({ description: 'fp32, bf16 or fp16, when loaded' })),
    workers_ready: Type.Optional(Type.Integer({ minimum: 0, description: 'workers that take work, when loaded' })),
  },
  closed,
);
/** A model: what it does and whether it is loaded. */
export interface ModelRow extends Static<typeof ModelRow> {}
export const ModelList = Type.Object(
  { models: Type.Array(ModelRow, { description: 'in alphabetical order' }) },
  closed,
);
/** All models that are described. */
export interface ModelList extends Static<typeof ModelList> {}
export const ModelParams = Type.Object(
  { id: Type.String({ pattern: '^[a-z0-9][a-z0-9-]{0,63}$', description: 'a name of configs/models' }) },
  closed,
);

export const Health = Type.Object(
  {
    status: Type.Literal('ok', { description: 'the process answers' }),
    version: Type.String({ description: 'version of qalign' }),
    uptime_s: Type.Number({ minimum: 0, description: 'seconds since the start' }),
  },
  closed,
);
export const Readiness = Type.Object(
  {
    ready: Type.Boolean({ description: 'requests are accepted' }),
    workers_ready: Type.Integer({ minimum: 0, description: 'workers that take work' }),
    models: Type.Array(Type.String(), { description: 'loaded models' }),
    devices: Type.Array(
      Type.Object(
        {
          model: Type.String({ description: 'model of the worker' }),
          device: Type.String({ description: 'device of the worker' }),
          state: Type.Enum(['ready', 'late', 'starting', 'silent', 'set_aside'], {
            description:
              'late: its oldest batch takes longer than request_ms; silent: its worker does not answer; set_aside: it failed again and again and is tried again later',
          }),
          restarts: Type.Integer({ minimum: 0, description: 'how often the worker was restarted' }),
        },
        closed,
      ),
      { description: 'a row for each worker' },
    ),
  },
  closed,
);
