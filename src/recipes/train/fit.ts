/** Chooses the micro-batch and the communication of a training by its memory estimate. */
import { QalignError } from '../../base/errors.js';
import type { FittedRecipe, TrainRecipe, Unsharded } from '../../config/train.js';
import type { Machine } from './machine.js';
import { passesOf, type MemoryEstimate } from './memory-estimate.js';

type Memory = (recipe: FittedRecipe) => MemoryEstimate | undefined;

/** From the fastest to the one that needs the least memory. */
const UNSHARDED: readonly Unsharded[] = ['all', 'gradients', 'nothing'];

/**
 * Replaces `auto` and null. The largest micro-batch that fits is chosen first, then the least communication that fits
 * beside it. If nothing fits, the result is the choice with the least memory.
 * @param memory the estimate of a model; undefined if its sizes are not known
 * @throws QalignError CONFIG_INVALID for `auto` if the memory of the model is not known
 */
export function fitRecipe(recipe: TrainRecipe, memory: Memory, machine: Machine): FittedRecipe {
  const limit = limitOf(recipe, machine);
  const withChoice = (micro: number, kept: Unsharded): FittedRecipe => ({
    ...recipe,
    micro_batch: micro,
    keep_unsharded: kept,
  });
  const known = (fitted: FittedRecipe): number | undefined => {
    const plan = memory(fitted);
    return plan === undefined || plan.activationBytes === null
      ? undefined
      : Math.max(plan.perGpuBytes, plan.startGpuBytes);
  };
  const fits = (fitted: FittedRecipe): boolean => (known(fitted) ?? Infinity) <= limit;
  const least = recipe.keep_unsharded ?? 'nothing';
  const sizes = recipe.micro_batch === 'auto' ? microBatches(recipe) : [recipe.micro_batch];
  if (recipe.micro_batch === 'auto' && known(withChoice(1, least)) === undefined)
    throw new QalignError(
      'CONFIG_INVALID',
      `micro_batch=auto needs the memory of ${recipe.model}, which is not known before it is loaded; set a number.`,
    );
  const micro = sizes.find((size) => fits(withChoice(size, least))) ?? sizes.at(-1) ?? 1;
  if (recipe.keep_unsharded !== null) return withChoice(micro, recipe.keep_unsharded);
  if (recipe.processes === 1 || passesOf(withChoice(micro, least)) === 1) return withChoice(micro, 'nothing');
  // the gradients of adapters are small, whatever the activations are
  if (known(withChoice(micro, least)) === undefined)
    return withChoice(micro, recipe.lora === null ? 'nothing' : 'gradients');
  return withChoice(micro, UNSHARDED.find((kept) => fits(withChoice(micro, kept))) ?? 'nothing');
}

/** The possible micro-batches, largest first: batch_size is a multiple of each times the processes. */
function microBatches({ batch_size: batch, processes }: TrainRecipe): number[] {
  const most = batch / processes;
  return Array.from({ length: most }, (_, index) => most - index).filter((size) => most % size === 0);
}

/** Bytes for one process: of `gpu_gb` and the smallest GPU that is here, or its share of the memory. */
function limitOf({ device, gpu_gb: gpu, processes, hosts }: TrainRecipe, { gpus, memoryBytes }: Machine): number {
  const local = Math.ceil(processes / hosts);
  if (device === 'cpu') return memoryBytes / local;
  return Math.min(gpu * 1e9, ...(gpus ?? []).slice(0, local).map(({ bytes }) => bytes));
}
