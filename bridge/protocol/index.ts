import type { Static, TSchema } from 'typebox';
import * as clip from './clip.js';
import { CONTROL, ENVELOPES } from './envelope.js';
import * as generate from './generate.js';
import { GpuCheck } from './gpu-check.js';
import * as models from './models.js';
import { RunRecipe } from './recipe.js';
import * as score from './score.js';
import * as train from './train.js';

/** All methods of a worker: parameters, progress and result. */
export const METHODS = {
  load_model: { params: models.LoadModelParams, progress: models.LoadModelProgress, result: models.LoadModelResult },
  unload_model: { params: models.UnloadModelParams, result: models.UnloadModelResult },
  inspect_model: { params: models.InspectModelParams, result: models.InspectModelResult },
  encode: { params: clip.EncodeParams, result: clip.EncodeResult },
  release: { params: clip.ReleaseParams, result: clip.ReleaseResult },
  score: { params: score.ScoreParams, result: score.ScoreResult },
  generate: { params: generate.GenerateParams, result: generate.GenerateResult },
  train: { params: train.TrainParams, progress: train.TrainEvent, result: train.TrainResult },
} as const satisfies Record<string, { params: TSchema; progress?: TSchema; result: TSchema }>;

export type Method = keyof typeof METHODS;
export type Params<M extends Method> = Static<(typeof METHODS)[M]['params']>;
export type ResultOf<M extends Method> = Static<(typeof METHODS)[M]['result']>;

/** Files that one side writes and the other reads. They are validated like messages. */
const FILES = { run_recipe: RunRecipe, gpu_check: GpuCheck } as const;

/** All messages of the protocol, and FILES, by the name of their schema file: `hello`, `request`, `score_params`, … */
export const SCHEMAS: Readonly<Record<string, TSchema>> = {
  ...CONTROL,
  ...ENVELOPES,
  ...Object.fromEntries(
    Object.entries(METHODS).flatMap(([method, parts]) =>
      Object.entries(parts).map(([part, schema]) => [`${method}_${part}`, schema]),
    ),
  ),
  ...FILES,
};
