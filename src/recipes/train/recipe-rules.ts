/** Rules of a recipe that its schema cannot express, and refusals before anything is started. */
import { checkConfig } from '../../config/load.js';
import type { TrainRecipeInput } from '../../config/recipe-input.generated.js';
import { TrainRecipe, type FittedRecipe } from '../../config/train.js';
import { QalignError } from '../../base/errors.js';
import { formatGigabytes } from '../../base/units.js';
import { torchrunArguments } from './launch.js';
import type { MemoryEstimate } from './memory-estimate.js';

/**
 * Validates a recipe by the schema and by rules that the schema cannot express.
 * @throws QalignError CONFIG_INVALID
 */
export function readRecipe(input: TrainRecipeInput): TrainRecipe {
  const recipe = checkConfig(TrainRecipe, input, 'the recipe') as TrainRecipe;
  const wrong = (message: string): never => {
    throw new QalignError('CONFIG_INVALID', message);
  };
  const { batch_size: batch, micro_batch: micro, processes } = recipe;
  if (micro === 'auto' && batch % processes !== 0)
    wrong(`batch_size ${batch} is not a multiple of processes ${processes}; change one of them.`);
  if (micro !== 'auto' && batch % (micro * processes) !== 0)
    wrong(
      `batch_size ${batch} is not a multiple of micro_batch ${micro} times processes ${processes}; change one of them.`,
    );
  if (recipe.weights === 'bf16' && recipe.optimizer === 'adamw' && recipe.lora === null) {
    wrong(
      'weights=bf16 with optimizer=adamw loses most updates by rounding; use optimizer=adamw_8bit (stochastic rounding), or weights=fp32 (a GPU still computes in bf16).',
    );
  }
  torchrunArguments(recipe, 0);
  return recipe;
}

/** @throws QalignError TRAINING_DOES_NOT_FIT */
export function requireFits(estimate: MemoryEstimate | undefined, recipe: FittedRecipe): void {
  if (recipe.device !== 'cuda' || estimate === undefined || estimate.fits) return;
  throw new QalignError(
    'TRAINING_DOES_NOT_FIT',
    `The run needs ${formatGigabytes(Math.max(estimate.perGpuBytes, estimate.startGpuBytes))} per GPU, but gpu_gb is ${recipe.gpu_gb}; see --plan, and use optimizer=adamw_8bit weights=bf16, a smaller micro_batch or more processes.`,
  );
}

/** @throws QalignError TRAINING_DOES_NOT_FIT */
export function requireMachine(found: readonly string[]): void {
  if (found.length === 0) return;
  throw new QalignError(
    'TRAINING_DOES_NOT_FIT',
    `This machine cannot run the recipe: ${found.join('; ')}; "qalign train RECIPE --plan" shows what it needs.`,
  );
}
