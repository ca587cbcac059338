import Type, { type Static } from 'typebox';
import { KINDS } from '../prompts/subject.js';
import { closed } from './error.js';

const Kinds = Type.Array(Type.Enum([...KINDS]));
export const ModelRow = Type.Object(
  {
    id: Type.String(),
    title: Type.String(),
    state: Type.Enum(['loaded', 'loading', 'available']),
    default: Type.Boolean(),
    untrained: Type.Boolean({ description: 'its numbers mean nothing' }),
    tasks: Type.Object({ quality: Type.Optional(Kinds), aesthetics: Type.Optional(Kinds) }, closed),
    licence: Type.String(),
    weights_sha256: Type.Optional(Type.String()),
    precision: Type.Optional(Type.String()),
    workers_ready: Type.Optional(Type.Integer({ minimum: 0 })),
  },
  closed,
);
/** A model: what it does and whether it is loaded. */
export interface ModelRow extends Static<typeof ModelRow> {}
export const ModelList = Type.Object({ models: Type.Array(ModelRow) }, closed);
/** All models that are described. */
export interface ModelList extends Static<typeof ModelList> {}
export const ModelParams = Type.Object(
  { id: Type.String({ pattern: '^[a-z0-9][a-z0-9-]{0,63}$', description: 'a name of configs/models' }) },
  closed,
);

export const Health = Type.Object(
  { status: Type.Literal('ok'), version: Type.String(), uptime_s: Type.Number({ minimum: 0 }) },
  closed,
);
export const Readiness = Type.Object(
  {
    ready: Type.Boolean(),
    workers_ready: Type.Integer({ minimum: 0 }),
    models: Type.Array(Type.String()),
    devices: Type.Array(
      Type.Object(
        {
          model: Type.String(),
          device: Type.String(),
          state: Type.Enum(['ready', 'late', 'starting', 'silent', 'set_aside'], {
            description:
              'late: its oldest batch takes longer than request_ms; silent: its worker does not answer; set_aside: it failed again and again and is tried again later',
          }),
          restarts: Type.Integer({ minimum: 0 }),
        },
        closed,
      ),
    ),
  },
  closed,
);
