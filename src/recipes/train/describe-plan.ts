/** The plan of a training as lines for the terminal. */
import type { FittedRecipe } from '../../config/train.js';
import { formatGigabytes } from '../../base/units.js';
import type { Machine } from './machine.js';
import { passesOf, recomputedShare, type MemoryEstimate } from './memory-estimate.js';

const gb = (bytes: number): string => formatGigabytes(bytes, 2);
const count = (value: number): string => value.toLocaleString('en');

const recomputed = (recipe: FittedRecipe): string => {
  const share = recomputedShare(recipe);
  if (share === 0) return '';
  return share === 1 ? ', recomputed' : `, ${Math.round(share * 100)} % of the blocks recomputed`;
};

/** @param diskBytes disk space of the prepared pictures; undefined if unknown */
export function describeEstimate(
  plan: MemoryEstimate | undefined,
  recipe: FittedRecipe,
  diskBytes: number | undefined,
): string[] {
  if (plan === undefined)
    return [`parameters     unknown: the weights of ${recipe.model} are not on this machine, or not in safetensors`];
  const { vision, abstractor, language, lora } = plan.parameters;
  return [
    `parameters     ${count(vision + abstractor + language + lora)} (vision ${count(vision)}, abstractor ${count(abstractor)}, language ${count(language)}, LoRA ${count(lora)})`,
    `trainable      ${count(plan.trainable)}, ${plan.bytesPerTrainable.toFixed(2)} bytes each (${recipe.lora === null ? recipe.weights : 'fp32'} weight and gradient, ${recipe.optimizer}${recipe.ema === null ? '' : ', average'})`,
    `weights        ${gb(plan.weightBytes)}`,
    `gradients      ${gb(plan.gradientBytes)}${describeGradients(recipe)}`,
    `optimizer      ${gb(plan.optimizerBytes)}`,
    plan.activationBytes === null
      ? 'activations    unknown: they depend on the family and on the sizes of the pictures'
      : `activations    ${gb(plan.activationBytes)} (micro-batch ${recipe.micro_batch}${recomputed(recipe)}, including copies of weights)`,
    perProcess(plan, recipe),
    describeStart(plan, recipe),
    `checkpoint     ${gb(plan.checkpointBytes)} on disk, ${describeKept(recipe)}; writing needs the same amount of host memory`,
    `export         ${gb(plan.exportBytes)} on disk${recipe.keep_best === null ? '' : ', and the best once more'}; the first process holds it in host memory`,
    describePrepared(plan, recipe, diskBytes),
  ];
}

function describeGradients(recipe: FittedRecipe): string {
  const passes = passesOf(recipe);
  if (passes === 1) return ' (one micro-batch per update)';
  const sums = ` (sums of ${passes} micro-batches in fp32`;
  if (recipe.processes === 1) return `${sums})`;
  const how = {
    nothing: 'reduced for each micro-batch',
    gradients: 'kept whole, reduced once per update',
    all: 'kept whole, reduced once per update; weights are gathered once too',
  }[recipe.keep_unsharded];
  return `${sums}; ${how})`;
}

function describeStart({ startGpuBytes, startHostBytes }: MemoryEstimate, { device, init }: FittedRecipe): string {
  const host =
    startHostBytes === null
      ? 'host memory unknown'
      : `${gb(startHostBytes)} of host memory per process besides PyTorch`;
  const how = init === 'random' ? 'random weights are drawn whole' : 'read tensor by tensor';
  return `start          ${device === 'cuda' ? `${gb(startGpuBytes)} per GPU, ` : ''}${host} (${how})`;
}

const describeKept = ({ keep_checkpoints: kept, keep_best: best }: FittedRecipe): string =>
  `${kept} kept${best === null ? '' : `, the best by ${best.toUpperCase()}`} and one being written`;

function describePrepared(plan: MemoryEstimate, { data }: FittedRecipe, diskBytes: number | undefined): string {
  if (diskBytes !== undefined) return `prepared data  ${gb(diskBytes)}, limit ${data.max_disk_gb} GB`;
  return plan.activationBytes === null
    ? `prepared data  unknown: pictures keep their shapes; limit ${data.max_disk_gb} GB`
    : 'prepared data  unknown: the records do not exist yet';
}

/** Formats the memory per process. `gpu_gb` limits only GPUs; memory for a CPU is checked by `misfits`. */
function perProcess(
  { perGpuBytes, fits, activationBytes }: MemoryEstimate,
  { device, gpu_gb: gpu, processes }: FittedRecipe,
): string {
  const taken = `${activationBytes === null ? 'more than ' : ''}${gb(perGpuBytes)}`;
  const on = `on ${processes} ${processes === 1 ? 'process' : 'processes'}`;
  if (device === 'cpu') return `per process    ${taken} of memory, ${on}`;
  return `per GPU        ${taken} of ${gpu} GB, ${on}: ${fits ? (activationBytes === null ? 'may fit' : 'fits') : 'does not fit'}`;
}

/** What this machine has. */
export function describeResources({ gpus, cores, memoryBytes, diskBytes }: Machine): string {
  const found =
    gpus === undefined
      ? 'GPUs that nvidia-smi does not list'
      : gpus.length === 0
        ? 'no GPU'
        : gpus.map(({ name, bytes }) => `${name} with ${formatGigabytes(bytes)}`).join(', ');
  return `resources      ${found}; ${cores} cores, ${formatGigabytes(memoryBytes)} of memory, ${formatGigabytes(diskBytes)} of free disk`;
}
