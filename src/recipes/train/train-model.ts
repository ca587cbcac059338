/** What a training asks of a model of either backend before it starts. */
import { existsSync } from 'node:fs';
import type { Preparation } from '../../../bridge/protocol/chat.js';
import type { ModelChoice } from '../../config/models.js';
import type { FittedRecipe, TrainRecipe } from '../../config/train.js';
import { QalignError } from '../../base/errors.js';
import type { FrameForm } from '../../media/views/views.js';
import { chatForm, estimateChat, readChatSizes, refuseMerger, requireChatKeys } from './chat-model.js';
import { modelForm, trainForm } from './frame-form.js';
import type { Machine } from './machine.js';
import { estimateMemory, type MemoryEstimate, type ModelShape } from './memory-estimate.js';
import { modelShape, readShape } from './model-shape.js';
import type { TrainRecord } from './records.js';
import { estimateTime, type TimeEstimate } from './time-estimate.js';

/** The frames of each split. */
export interface SplitForms {
  readonly train: FrameForm;
  readonly dev: FrameForm;
}

export interface TrainModel {
  /** Undefined if the sizes of the model are not known before it is loaded. */
  readonly memory: (recipe: FittedRecipe, frames: number) => MemoryEstimate | undefined;
  readonly time: (
    recipe: FittedRecipe,
    records: readonly Pick<TrainRecord, 'dataset' | 'kind'>[],
    machine: Machine,
  ) => TimeEstimate;
  /**
   * The frames of the splits; undefined if only the processor of the model knows them.
   * @throws QalignError CONFIG_INVALID
   */
  readonly forms: (recipe: TrainRecipe) => SplitForms | undefined;
}

/**
 * Checks that the recipe fits the backend of its model.
 * @throws QalignError CONFIG_INVALID
 */
export function requireBackendKeys(recipe: TrainRecipe, { id, backend }: ModelChoice): void {
  if (backend === 'transformers') requireChatKeys(recipe, id);
  else refuseMerger(recipe, id);
}

/** The model of a choice, as far as its files are here. @throws QalignError CONFIG_NOT_FOUND, MODEL_INVALID */
export const modelOf = (choice: ModelChoice): TrainModel =>
  choice.backend === 'transformers' ? chatModel(choice.model, undefined) : ownModel(modelShape(choice));

/** A model in a local folder. `preparation` is that of its processor; absent for mPLUG-Owl2. */
export const modelIn = (folder: string, preparation: Preparation | undefined): TrainModel =>
  preparation === undefined ? ownModel(readShape(folder)) : chatModel(folder, preparation);

const ownModel = (shape: ModelShape): TrainModel => ({
  memory: (recipe, frames) => estimateMemory(shape, recipe, frames),
  time: (recipe, records, machine) => estimateTime(shape, recipe, records, machine),
  forms: (recipe) => ({ train: trainForm(recipe, shape), dev: modelForm(shape) }),
});

function chatModel(folder: string, preparation: Preparation | undefined): TrainModel {
  const sizes = existsSync(folder) ? readChatSizes(folder) : undefined;
  const form = preparation && chatForm(preparation);
  return {
    memory: (recipe) => sizes && estimateChat(sizes, recipe),
    time: (recipe, records, machine) => estimateTime(undefined, recipe, records, machine),
    forms: () => form && { train: form, dev: form },
  };
}

/** @throws QalignError MODEL_INVALID if the processor of a model was not read */
export function requireForms(model: TrainModel, recipe: TrainRecipe): SplitForms {
  const forms = model.forms(recipe);
  if (forms !== undefined) return forms;
  throw new QalignError('MODEL_INVALID', `The processor of ${recipe.model} does not say how pictures are prepared.`);
}
