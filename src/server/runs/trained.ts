import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { QalignError } from '../../base/errors.js';
import type { ServiceRun } from './store.js';

/** A recipe that can name the model of a training of this service. */
interface UsesModels {
  readonly model?: unknown;
  readonly base?: unknown;
}

const BY_ID = /^run:(run_[0-9a-f]{24})$/;

/** Training that `run:ID` names; undefined for other model names. */
export const trainingOf = (model: unknown): string | undefined =>
  typeof model === 'string' ? BY_ID.exec(model)?.[1] : undefined;

/** Trainings whose models a recipe uses. */
export const trainingsOf = ({ model, base }: UsesModels): string[] =>
  [model, base].map(trainingOf).filter((id) => id !== undefined);

/**
 * Replaces each `run:ID` in a recipe with the directory of its model.
 * @throws QalignError RUN_NOT_FOUND where the training is gone or made no model
 */
export function withTrainedModels<R extends UsesModels>(recipe: R, find: (id: string) => ServiceRun | undefined): R {
  const folderOf = (model: unknown): unknown => {
    const id = trainingOf(model);
    return id === undefined ? model : modelFolder(id, find(id));
  };
  return {
    ...recipe,
    ...('model' in recipe ? { model: folderOf(recipe.model) } : {}),
    ...('base' in recipe ? { base: folderOf(recipe.base) } : {}),
  };
}

function modelFolder(id: string, training: ServiceRun | undefined): string {
  const folder = training?.folder === undefined ? undefined : join(training.folder, 'model');
  if (folder !== undefined && existsSync(folder)) return folder;
  throw new QalignError(
    'RUN_NOT_FOUND',
    training === undefined
      ? `There is no training ${id}; GET /v1/train_runs lists yours.`
      : `The training ${id} is ${training.status} and has no model; resume it with POST /v1/train_runs/${id}/resume, then try again.`,
  );
}
