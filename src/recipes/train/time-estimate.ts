import { formatDuration } from '../../base/units.js';
import type { TrainRecipe } from '../../config/train.js';
import type { Machine } from './machine.js';
import { countParameters, TEXT_TOKENS, type ModelShape } from './memory-estimate.js';
import type { TrainRecord } from './records.js';

/** Dense bf16 peaks in FLOP/s by the driver's name, as in python/qalign/training/model/flops.py. First match counts. */
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
/** What is assumed of a GPU that is not known or not there. */
const ASSUMED = ['A100', 312e12] as const;
/** Of a core in fp32, with what PyTorch reaches of it. */
const CORE_FLOPS = 30e9;
/** Share of the peak that a training reaches, assumed. */
const UTILISATION = 0.35;
/** EfficientNet-Lite0 at 224 px, forward. */
const LITE0_FLOPS = 0.8e9;

export interface TimeEstimate {
  readonly steps: number;
  /** Products of one item: forward, backward, and what is recomputed. */
  readonly flopsPerItem: number;
  readonly seconds: number;
  /** For which device, and what is assumed of it. */
  readonly device: string;
}

/** Steps of a run, exactly as far as weights of data sets are whole numbers, and a rough time without evaluations. */
export function estimateTime(
  shape: ModelShape,
  recipe: TrainRecipe,
  records: readonly Pick<TrainRecord, 'dataset' | 'kind'>[],
  machine: Machine,
): TimeEstimate {
  const items = records.reduce((sum, { dataset }) => sum + (recipe.data.weights[dataset] ?? 1), 0);
  const all = Math.ceil(items / recipe.batch_size) * recipe.epochs;
  const steps = recipe.max_steps === null ? all : Math.min(all, recipe.max_steps);
  const clips = records.filter(({ kind }) => kind === 'video').length / Math.max(1, records.length);
  const frames = 1 + clips * (recipe.data.max_frames - 1);
  const flopsPerItem = itemFlops(shape, recipe, frames);
  const { flops, device } = speedOf(recipe, machine);
  return { steps, flopsPerItem, seconds: (steps * recipe.batch_size * flopsPerItem) / flops, device };
}

/** Two operations for each weight and token, three passes for a part that is trained and two for one that is passed. */
function itemFlops(shape: ModelShape, recipe: TrainRecipe, frames: number): number {
  const { vision, abstractor, language } = countParameters(shape);
  const { image_size: size, patch_size: patch, hidden_size: width } = shape.visual_config.visual_model;
  const queries = shape.visual_config.visual_abstractor.num_learnable_queries;
  const positions = patch === undefined ? (size / 32) ** 2 : (size / patch) ** 2 + 1;
  const encoder = width === undefined ? LITE0_FLOPS * (size / 224) ** 2 : 2 * vision * positions;
  const passes = (part: 'vision' | 'abstractor' | 'language'): number =>
    (recipe.lora !== null || recipe.freeze.includes(part) ? (part === 'vision' ? 1 : 2) : 3) +
    (recipe.recompute && part !== 'abstractor' ? 1 : 0);
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
      device: `${machine.cores} cores of this machine, 30 GFLOP/s each assumed`,
    };
  const name = machine.gpus?.[0]?.name;
  const known = name === undefined ? undefined : PEAKS.find(([part]) => name.includes(part));
  const [, peak] = known ?? ASSUMED;
  const slower = compute === 'fp32' ? 8 : 1;
  const many = processes === 1 ? '' : `${processes} × `;
  const what = known === undefined ? `${ASSUMED[0]}${name === undefined ? '' : `, since ${name} is not known`}` : name;
  return {
    flops: (processes * peak * UTILISATION) / slower,
    device: `${many}${what}, ${UTILISATION * 100} % of its peak assumed`,
  };
}

export function describeTime(
  { steps, seconds, device }: TimeEstimate,
  { processes, device: kind }: TrainRecipe,
): string {
  const hours = (seconds * processes) / 3600;
  const cost = kind === 'cuda' ? `, ${hours.toFixed(1)} GPU hours` : '';
  return `${steps.toLocaleString('en')} steps, estimate ${formatDuration(seconds)}${cost} (${device})`;
}
