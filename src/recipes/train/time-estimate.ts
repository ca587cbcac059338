import { formatDuration } from '../../base/units.js';
import type { TrainRecipe } from '../../config/train.js';
import type { Machine } from './machine.js';
import { ratedCopies, seriesItems } from './copy-plans.js';
import { countParameters, recomputedShare, TEXT_TOKENS, viewsOf, type ModelShape } from './memory-estimate.js';
import type { TrainRecord } from './records.js';

/**
 * Dense bf16 peak in FLOP/s by the GPU name of the driver, as in python/qalign/training/model/flops.py. The first match
 * counts.
 */
const PEAKS: readonly (readonly [string, number])[] = [
  ['B200', 2250e12],
  ['H200', 989e12],
  ['H100 PCIe', 756e12],
  ['H100', 989e12],
  ['A100', 312e12],
  ['L40S', 362e12],
  ['RTX 4090', 165e12],
  ['RTX 3090', 71e12],
];
/** Assumed GPU if there is none or it is unknown. */
const ASSUMED = ['A100', 312e12] as const;
/** Assumed fp32 speed of a CPU core with PyTorch, in FLOP/s. */
const CORE_FLOPS = 30e9;
/** Assumed fraction of the peak that a training reaches. */
const UTILISATION = 0.35;
/** Forward pass of EfficientNet-Lite0 at 224 px. */
const LITE0_FLOPS = 0.8e9;

/** Steps and duration of a training. */
export interface TimeEstimate {
  /** Number of updates. */
  readonly steps: number;
  /** FLOP of one item: forward and backward passes and recomputation. Null for models of transformers: not known. */
  readonly flopsPerItem: number | null;
  /** Rough duration in seconds, without evaluations. Null if it is not known. */
  readonly seconds: number | null;
  /** The device and the assumptions about it. */
  readonly device: string;
}

/**
 * The number of steps of a run, and a rough time without evaluations. Steps are exact if the weights of data sets are
 * whole numbers.
 * @param shape undefined for models of transformers, whose time is not known
 */
export function estimateTime(
  shape: ModelShape | undefined,
  recipe: TrainRecipe,
  records: readonly Pick<TrainRecord, 'dataset' | 'kind'>[],
  machine: Machine,
): TimeEstimate {
  const rated = records.reduce((sum, { dataset }) => sum + (recipe.data.weights[dataset] ?? 1), 0);
  const items =
    rated * (1 + ratedCopies(recipe)) + seriesItems(records.length, recipe) * (recipe.data.weights['distortions'] ?? 1);
  const all = Math.ceil(items / recipe.batch_size) * recipe.epochs;
  const steps = recipe.max_steps === null ? all : Math.min(all, recipe.max_steps);
  const clips = records.filter(({ kind }) => kind === 'video').length / Math.max(1, records.length);
  const frames = 1 + clips * (recipe.data.max_frames - 1);
  const { flops, device } = speedOf(recipe, machine);
  if (shape === undefined) return { steps, flopsPerItem: null, seconds: null, device };
  const flopsPerItem = itemFlops(shape, recipe, frames);
  return { steps, flopsPerItem, seconds: (steps * recipe.batch_size * flopsPerItem) / flops, device };
}

/**
 * FLOP of one item: two per weight and token and pass. A trained part has three passes, a frozen part with gradients
 * through it two.
 */
function itemFlops(shape: ModelShape, recipe: TrainRecipe, frames: number): number {
  const { vision, abstractor, language } = countParameters(shape);
  const { image_size: size, patch_size: patch, hidden_size: width } = shape.visual_config.visual_model;
  const queries = shape.visual_config.visual_abstractor.num_learnable_queries;
  const views = viewsOf(shape).length;
  const positions = views * (patch === undefined ? (size / 32) ** 2 : (size / patch) ** 2 + 1);
  const encoder = width === undefined ? views * LITE0_FLOPS * (size / 224) ** 2 : 2 * vision * positions;
  const passes = (part: 'vision' | 'abstractor' | 'language'): number =>
    (recipe.lora !== null || recipe.freeze.includes(part) ? (part === 'vision' ? 1 : 2) : 3) +
    (part === 'abstractor' ? 0 : recomputedShare(recipe));
  const seen = frames * encoder * (recipe.cache_features ? 0 : passes('vision'));
  const read = 2 * abstractor * (positions + queries) * frames * passes('abstractor');
  const embeddings = shape.vocab_size * shape.hidden_size;
  const said = 2 * (language - 2 * embeddings) * (frames * (queries + 1) + TEXT_TOKENS) * passes('language');
  return seen + read + said;
}

function speedOf({ device, processes, compute }: TrainRecipe, machine: Machine): { flops: number; device: string } {
  if (device === 'cpu')
    return {
      flops: machine.cores * CORE_FLOPS,
      device: `${machine.cores} cores of this machine, assuming 30 GFLOP/s each`,
    };
  const name = machine.gpus?.[0]?.name;
  const known = name === undefined ? undefined : PEAKS.find(([part]) => name.includes(part));
  const [, peak] = known ?? ASSUMED;
  const slower = compute === 'fp32' ? 8 : 1;
  const many = processes === 1 ? '' : `${processes} × `;
  const what = known === undefined ? `${ASSUMED[0]}${name === undefined ? '' : `, because ${name} is unknown`}` : name;
  return {
    flops: (processes * peak * UTILISATION) / slower,
    device: `${many}${what}, assuming ${UTILISATION * 100} % of its peak`,
  };
}

export function describeTime(
  { steps, seconds, device }: TimeEstimate,
  { processes, device: kind }: TrainRecipe,
): string {
  if (seconds === null) return `${steps.toLocaleString('en')} steps; their duration is not known for this model`;
  const hours = (seconds * processes) / 3600;
  const cost = kind === 'cuda' ? `, ${hours.toFixed(1)} GPU hours` : '';
  return `${steps.toLocaleString('en')} steps, estimate ${formatDuration(seconds)}${cost} (${device})`;
}
