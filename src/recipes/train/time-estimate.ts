import { formatDuration } from '../../base/units.js';
import type { FittedRecipe } from '../../config/train.js';
import type { Machine } from './machine.js';
import { ratedCopies, seriesItems } from './copy-plans.js';
import {
  countParameters,
  estimateMemory,
  passesOf,
  recomputedShare,
  savedBytes,
  TEXT_TOKENS,
  viewsOf,
  type MemoryEstimate,
  type ModelShape,
} from './memory-estimate.js';
import type { TrainRecord } from './records.js';

interface Speeds {
  /** Part of the name that the driver gives; the first match counts. */
  readonly gpu: string;
  /** Dense bf16 peak in FLOP/s, as in python/qalign/training/model/flops.py. */
  readonly flops: number;
  /** Memory bandwidth in bytes/s. Both are from the vendors' data sheets. */
  readonly memory: number;
  /** Assumed rate in bytes/s at which one GPU exchanges weights and gradients: NVLink, or PCIe. */
  readonly link: number;
}
const NVLINK = 300e9;
const PCIE = 12e9;
const SPEEDS: readonly Speeds[] = [
  { gpu: 'B200', flops: 2250e12, memory: 8e12, link: NVLINK },
  { gpu: 'H200', flops: 989e12, memory: 4.8e12, link: NVLINK },
  { gpu: 'H100 PCIe', flops: 756e12, memory: 2e12, link: PCIE },
  { gpu: 'H100', flops: 989e12, memory: 3.35e12, link: NVLINK },
  { gpu: 'A100', flops: 312e12, memory: 2e12, link: NVLINK },
  { gpu: 'L40S', flops: 362e12, memory: 0.864e12, link: PCIE },
  { gpu: 'RTX 4090', flops: 165e12, memory: 1.008e12, link: PCIE },
  { gpu: 'RTX 3090', flops: 71e12, memory: 0.936e12, link: PCIE },
];
/** Assumed GPU if there is none or it is unknown. */
const ASSUMED = SPEEDS.find(({ gpu }) => gpu === 'A100')!;
/** Assumed fp32 speed of a CPU core with PyTorch, in FLOP/s. */
const CORE_FLOPS = 30e9;
/** Assumed fractions of the data sheet's peaks that products and the passes over memory reach. */
const OF_FLOPS = 0.68;
const OF_MEMORY = 0.8;
/**
 * Bytes that elementwise operations read and write in one pass, for each byte that autograd would save. Counted for the
 * published shape with recomputation, in four passes: 20.6 GB per picture, where autograd would save 1.66 GB.
 */
const TRAFFIC = 3.1;
/** Bytes that an update moves for a parameter: torch's fused AdamW in fp32, and the goal for the 8-bit one. */
const OPTIMIZER_BYTES = { adamw: 28, adamw_8bit: 20 } as const;
/** Bytes for adding a bf16 gradient to its fp32 sum. */
const SUM_BYTES = 10;
/** Forward pass of EfficientNet-Lite0 at 224 px. */
const LITE0_FLOPS = 0.8e9;

/** Steps and duration of a training. */
export interface TimeEstimate {
  /** Number of updates. */
  readonly steps: number;
  /** FLOP of one item: forward and backward passes and recomputation. Null for models of transformers: not known. */
  readonly flopsPerItem: number | null;
  /** Bytes that elementwise operations move for one item. Null if it is not known. */
  readonly bytesPerItem: number | null;
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
  recipe: FittedRecipe,
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
  const { speeds, device } = speedOf(recipe, machine);
  if (shape === undefined) return { steps, flopsPerItem: null, bytesPerItem: null, seconds: null, device };
  const flopsPerItem = itemFlops(shape, recipe, frames);
  const bytesPerItem = itemBytes(shape, recipe, frames);
  const perStep =
    speeds === undefined
      ? (recipe.batch_size * flopsPerItem) / (machine.cores * CORE_FLOPS)
      : gpuStep(speeds, recipe, { flopsPerItem, bytesPerItem, plan: estimateMemory(shape, recipe, frames) });
  return { steps, flopsPerItem, bytesPerItem, seconds: steps * perStep, device };
}

interface Work {
  readonly flopsPerItem: number;
  readonly bytesPerItem: number;
  readonly plan: MemoryEstimate;
}

/** Seconds of an update. Communication runs beside the passes, so that the slower of the two counts. */
function gpuStep(speeds: Speeds, recipe: FittedRecipe, { flopsPerItem, bytesPerItem, plan }: Work): number {
  const { processes, batch_size: batch, keep_unsharded: kept } = recipe;
  const passes = passesOf(recipe);
  const flops = speeds.flops * OF_FLOPS * (recipe.compute === 'fp32' ? 1 / 8 : 1);
  const memory = speeds.memory * OF_MEMORY;
  const computing = (batch / processes) * (flopsPerItem / flops + bytesPerItem / memory);
  const summed = passes === 1 ? 0 : plan.trainable / (processes > 1 && kept === 'nothing' ? processes : 1);
  const updated = (plan.trainable / processes) * OPTIMIZER_BYTES[recipe.optimizer] + passes * summed * SUM_BYTES;
  const { vision, abstractor, language } = plan.parameters;
  const isCoded = recipe.lora !== null && recipe.lora.quantise_base !== null;
  const gathered = (isCoded ? vision + abstractor : vision + abstractor + language) * 2;
  const gathers = kept === 'all' ? 1 : 2 * passes;
  const reduced = plan.trainable * 4 * (kept === 'nothing' ? passes : 1);
  const exchanged = (gathers * gathered + reduced) * (1 - 1 / processes);
  return Math.max(computing, exchanged / speeds.link) + updated / memory;
}

/** Passes over a part: a trained part has three, a frozen part with gradients through it two; and recomputation. */
const passesOver = (part: 'vision' | 'abstractor' | 'language', recipe: FittedRecipe): number =>
  (recipe.lora !== null || recipe.freeze.includes(part) ? (part === 'vision' ? 1 : 2) : 3) +
  (part === 'abstractor' ? 0 : recomputedShare(recipe));

/** Bytes of elementwise operations of one item in the blocks of encoder and language model. */
function itemBytes(shape: ModelShape, recipe: FittedRecipe, frames: number): number {
  const saved = savedBytes(shape, recipe, frames);
  const seen = recipe.cache_features ? 0 : saved.vision * passesOver('vision', recipe);
  return TRAFFIC * (seen + saved.language * passesOver('language', recipe));
}

/** FLOP of one item: two per weight and token and pass. */
function itemFlops(shape: ModelShape, recipe: FittedRecipe, frames: number): number {
  const { vision, abstractor, language } = countParameters(shape);
  const { image_size: size, patch_size: patch, hidden_size: width } = shape.visual_config.visual_model;
  const queries = shape.visual_config.visual_abstractor.num_learnable_queries;
  const views = viewsOf(shape).length;
  const positions = views * (patch === undefined ? (size / 32) ** 2 : (size / patch) ** 2 + 1);
  const encoder = width === undefined ? views * LITE0_FLOPS * (size / 224) ** 2 : 2 * vision * positions;
  const seen = frames * encoder * (recipe.cache_features ? 0 : passesOver('vision', recipe));
  const read = 2 * abstractor * (positions + queries) * frames * passesOver('abstractor', recipe);
  const embeddings = shape.vocab_size * shape.hidden_size;
  const said =
    2 * (language - 2 * embeddings) * (frames * (queries + 1) + TEXT_TOKENS) * passesOver('language', recipe);
  return seen + read + said;
}

function speedOf(
  { device, processes }: FittedRecipe,
  machine: Machine,
): { readonly speeds: Speeds | undefined; readonly device: string } {
  if (device === 'cpu')
    return { speeds: undefined, device: `${machine.cores} cores of this machine, assuming 30 GFLOP/s each` };
  const name = machine.gpus?.[0]?.name;
  const known = name === undefined ? undefined : SPEEDS.find(({ gpu }) => name.includes(gpu));
  const speeds = known ?? ASSUMED;
  const many = processes === 1 ? '' : `${processes} × `;
  const what =
    known === undefined ? `${ASSUMED.gpu}${name === undefined ? '' : `, because ${name} is unknown`}` : (name ?? '');
  const link = processes === 1 ? '' : `, ${speeds.link / 1e9} GB/s between GPUs`;
  return {
    speeds,
    device: `${many}${what}, assuming ${OF_FLOPS * 100} % of ${speeds.flops / 1e12} TFLOP/s, ${OF_MEMORY * 100} % of ${speeds.memory / 1e12} TB/s${link}`,
  };
}

export function describeTime(
  { steps, seconds, device }: TimeEstimate,
  { processes, device: kind }: FittedRecipe,
): string {
  if (seconds === null) return `${steps.toLocaleString('en')} steps; their duration is not known for this model`;
  const hours = (seconds * processes) / 3600;
  const cost = kind === 'cuda' ? `, ${hours.toFixed(1)} GPU hours` : '';
  return `${steps.toLocaleString('en')} steps, estimate ${formatDuration(seconds)}${cost} (${device})`;
}
