import { WHOLE, type View } from '../../../bridge/protocol/views.js';
import type { TrainRecipe } from '../../config/train.js';
import { formatGigabytes } from '../../base/units.js';

/** The fields of a model's config.json that determine its size. */
export interface ModelShape {
  readonly vocab_size: number;
  readonly hidden_size: number;
  readonly intermediate_size: number;
  readonly num_hidden_layers: number;
  readonly visual_config: {
    readonly visual_model: {
      readonly hidden_size?: number;
      readonly intermediate_size?: number;
      readonly num_hidden_layers?: number;
      readonly image_size: number;
      /** What the encoder sees of a picture; the whole picture if absent. */
      readonly views?: readonly View[] | null;
      readonly patch_size?: number;
    };
    readonly visual_abstractor: {
      readonly num_learnable_queries: number;
      readonly hidden_size: number;
      readonly num_hidden_layers: number;
      readonly intermediate_size: number;
      readonly encoder_hidden_size: number;
    };
  };
}

/** What the encoder sees of a picture. */
export const viewsOf = ({ visual_config: { visual_model } }: ModelShape): readonly View[] =>
  visual_model.views ?? WHOLE;

/** Sizes of mPLUG-Owl2 with LLaMA-2-7B, from its published config.json. */
export const PUBLISHED_SHAPE: ModelShape = {
  vocab_size: 32000,
  hidden_size: 4096,
  intermediate_size: 11008,
  num_hidden_layers: 32,
  visual_config: {
    visual_model: {
      hidden_size: 1024,
      intermediate_size: 4096,
      num_hidden_layers: 24,
      image_size: 448,
      patch_size: 14,
    },
    visual_abstractor: {
      num_learnable_queries: 64,
      hidden_size: 1024,
      num_hidden_layers: 6,
      intermediate_size: 2816,
      encoder_hidden_size: 1024,
    },
  },
};

/** Memory on one GPU, or in one process, in bytes. */
export interface MemoryEstimate {
  /** Number of parameters of each part. `abstractor` is the merger of a model of transformers. */
  readonly parameters: { vision: number; abstractor: number; language: number; lora: number };
  /** Number of parameters that are trained. */
  readonly trainable: number;
  /** Weights, gradient and optimizer state of one trained parameter in bytes. */
  readonly bytesPerTrainable: number;
  /** All weights in bytes. */
  readonly weightBytes: number;
  /** Gradients in bytes. */
  readonly gradientBytes: number;
  /** State of the optimizer in bytes. */
  readonly optimizerBytes: number;
  /** Activations of one micro-batch in bytes. Null for models of transformers, where they are not known. */
  readonly activationBytes: number | null;
  /** The sum on one GPU in bytes; without known activations, the least that it needs. */
  readonly perGpuBytes: number;
  /** Size of a checkpoint of all processes: disk space per kept checkpoint, and host memory while it is written. */
  readonly checkpointBytes: number;
  /** Whether the sum is within `gpu_gb` of the recipe. */
  readonly fits: boolean;
}

/** Number of tokens of question, answer and markers around the picture. The published prompts have 29 to 40. */
export const TEXT_TOKENS = 40;
/**
 * Factor for fragmentation of the allocator, the CUDA context and communication buffers. On other runs they took about
 * a tenth.
 */
const OVERHEAD = 1.1;

/** Exact number of parameters by part for the published layout (docs/mplug-owl2.md#sizes). */
export function countParameters(shape: ModelShape, loraRank = 0): MemoryEstimate['parameters'] {
  const { hidden_size: d, intermediate_size: m, vocab_size: v, num_hidden_layers: layers } = shape;
  const language = layers * (6 * d * d + 3 * d * m + 4 * d) + 2 * v * d + d;
  const lora = layers * 2 * loraRank * 2 * d;
  return { vision: countVision(shape), abstractor: countAbstractor(shape), language, lora };
}

function countVision(shape: ModelShape): number {
  const {
    hidden_size: c,
    intermediate_size: m,
    num_hidden_layers: layers,
    image_size: size,
    patch_size: patch,
  } = shape.visual_config.visual_model;
  // EfficientNet-Lite0
  if (c === undefined || m === undefined || layers === undefined || patch === undefined) return 4_700_000;
  const positions = (size / patch) ** 2 + 1;
  const block = 3 * c * c + 3 * c + c * c + c + 2 * c * m + m + c + 4 * c;
  return c + c * 3 * patch * patch + positions * c + 2 * c + layers * block + 2 * c;
}

function countAbstractor(shape: ModelShape): number {
  const {
    num_learnable_queries: q,
    hidden_size: c,
    intermediate_size: m,
    num_hidden_layers: layers,
    encoder_hidden_size: e,
  } = shape.visual_config.visual_abstractor;
  const attention = 2 * (c * c + c) + 2 * (e * c + c);
  const mlp = 2 * (c * m + m) + m * c + c + 2 * m;
  return q * c + layers * (attention + mlp + 4 * c + 2 * e) + shape.hidden_size * c + shape.hidden_size * 2;
}

/**
 * Estimates the memory of one update, before anything is started. Weights, gradients and optimizer state are sharded
 * over processes.
 * @param frames maximum number of frames per record; 1 for pictures
 */
export function estimateMemory(shape: ModelShape, recipe: TrainRecipe, frames = 1): MemoryEstimate {
  const parameters = countParameters(shape, recipe.lora?.r ?? 0);
  const isQuantised = recipe.lora !== null && recipe.lora.quantise_base !== null;
  return estimateOf(parameters, trainableParameters(parameters, recipe), recipe, {
    matrices: isQuantised ? shape.num_hidden_layers * layerMatrices(shape) : 0,
    activationBytes: activations(shape, recipe, frames) + gathered(shape, recipe),
  });
}

/**
 * The memory of one update for known numbers of parameters.
 * @param matrices number of parameters that are stored as codes
 * @param activationBytes null if unknown; the sum is then a lower bound
 */
export function estimateOf(
  parameters: MemoryEstimate['parameters'],
  trainable: number,
  recipe: TrainRecipe,
  { matrices, activationBytes }: { readonly matrices: number; readonly activationBytes: number | null },
): MemoryEstimate {
  const frozen = parameters.vision + parameters.abstractor + parameters.language + parameters.lora - trainable;
  const held = recipe.weights === 'bf16' ? 2 : 4;
  const each = recipe.lora === null ? held : 4; // adapters, and the abstractor if it is trained, are stored in fp32
  // two moments of one byte, and two scales per 256 entries
  const state = recipe.optimizer === 'adamw_8bit' ? 2 + 8 / 256 : 2 * each;
  const average = recipe.ema === null ? 0 : 4;
  const perCode = recipe.lora?.quantise_base === 'int8' ? 1 : 0.5625; // nf4: half a byte, and a scale per 64 entries
  const shared = trainable * each + (frozen - matrices) * held;
  const weightBytes = shared / recipe.processes + matrices * perCode; // quantised weights are not sharded
  const gradientBytes = (trainable * each) / recipe.processes;
  const optimizerBytes = (trainable * (state + average)) / recipe.processes;
  const perGpuBytes = (weightBytes + gradientBytes + optimizerBytes + (activationBytes ?? 0)) * OVERHEAD;
  const checkpointBytes = shared + matrices * perCode + trainable * (state + average);
  return {
    parameters,
    trainable,
    checkpointBytes,
    bytesPerTrainable: 2 * each + state + average,
    weightBytes,
    gradientBytes,
    optimizerBytes,
    activationBytes,
    perGpuBytes,
    fits: perGpuBytes <= recipe.gpu_gb * 1e9,
  };
}

function trainableParameters(parameters: MemoryEstimate['parameters'], recipe: TrainRecipe): number {
  const part = (name: 'vision' | 'abstractor' | 'language'): number =>
    recipe.freeze.includes(name) ? 0 : parameters[name];
  if (recipe.lora !== null) return parameters.lora + (recipe.lora.abstractor ? part('abstractor') : 0);
  return part('vision') + part('abstractor') + part('language');
}

const layerMatrices = ({ hidden_size: d, intermediate_size: m }: ModelShape): number => 6 * d * d + 3 * d * m;

/** The share of the blocks whose activations are recomputed. */
export const recomputedShare = ({ recompute }: Pick<TrainRecipe, 'recompute'>): number => Number(recompute);

const recomputed = (recipe: TrainRecipe): string => {
  const share = recomputedShare(recipe);
  if (share === 0) return '';
  return share === 1 ? ', recomputed' : `, ${Math.round(share * 100)} % of the blocks recomputed`;
};

/** Bytes per number in matrix products. */
const computeBytes = ({ compute, device }: TrainRecipe): number =>
  (compute ?? (device === 'cuda' ? 'bf16' : 'fp32')) === 'bf16' ? 2 : 4;

/**
 * Bytes of activations that are stored for the backward pass of one micro-batch. The factors are from the tensors that
 * autograd saved in a forward pass of the published shape on the meta device. Per token they are 5 rows of the
 * abstractor's width, 15 + 3·m/d of the language model's and 9 + 3·m/c of the encoder's. With fused kernels the
 * last two are 8 + 3·m/d and 8 + 2·m/c. Of the share of blocks that are recomputed only the inputs are stored, plus
 * the inside of one block.
 */
function activations(shape: ModelShape, recipe: TrainRecipe, frames: number): number {
  const { hidden_size: d, intermediate_size: m, num_hidden_layers: layers, vocab_size: vocabulary } = shape;
  const {
    hidden_size: c = 320,
    intermediate_size: inner = 1280,
    num_hidden_layers: depth = 16,
    image_size: size,
    patch_size: patch = 32,
  } = shape.visual_config.visual_model;
  const {
    num_learnable_queries: queries,
    hidden_size: a,
    num_hidden_layers: abstractors,
  } = shape.visual_config.visual_abstractor;
  const tokens = frames * (queries + 1) + TEXT_TOKENS;
  const positions = frames * viewsOf(shape).length * ((size / patch) ** 2 + 1);
  const seen = queries + positions / frames;
  const fused = recipe.device === 'cuda' && recipe.kernels === 'auto';
  const inLanguage = tokens * ((fused ? 8 : 15) * d + 3 * m);
  const inVision = positions * (fused ? 8 * c + 2 * inner : 9 * c + 3 * inner);
  const again = recomputedShare(recipe);
  const abstractor = frames * abstractors * (5 * seen * a + 32 * queries * seen);
  const frozen = recipe.freeze.includes('vision') || recipe.lora !== null;
  const vision = frozen ? positions * c : depth * (again * positions * c + (1 - again) * inVision);
  const language = layers * (again * tokens * d + (1 - again) * inLanguage);
  const block = again > 0 || frozen ? Math.max(inLanguage, inVision) : 0;
  const head = 16 * vocabulary * 12;
  return recipe.micro_batch * (computeBytes(recipe) * (abstractor + vision + language + block) + head);
}

/**
 * Bytes that FSDP holds unsharded: two layers at a time (one is prefetched) and the parts outside of layers, in the
 * compute precision. Trained parts also need their gradient and its fp32 copy for the reduction. Of a quantised base,
 * the decoded matrices of one layer that is recomputed.
 */
function gathered(shape: ModelShape, recipe: TrainRecipe): number {
  const bytes = computeBytes(recipe);
  const quantised = Boolean(recipe.lora?.quantise_base);
  const layer = quantised ? 0 : layerMatrices(shape);
  const decoded = quantised && recomputedShare(recipe) > 0 ? layerMatrices(shape) : 0;
  const outside = 2 * shape.vocab_size * shape.hidden_size + countAbstractor(shape);
  const gradients = recipe.lora === null ? (layer + outside) * (bytes + 4) : 0;
  return (2 * layer + decoded + outside) * bytes + gradients;
}

/**
 * Formats the estimate as lines for the terminal.
 * @param diskBytes disk space of the prepared pictures; undefined if unknown
 */
export function describeEstimate(
  plan: MemoryEstimate | undefined,
  recipe: TrainRecipe,
  diskBytes: number | undefined,
): string[] {
  if (plan === undefined)
    return [`parameters     unknown: the weights of ${recipe.model} are not on this machine, or not in safetensors`];
  const gb = (bytes: number): string => formatGigabytes(bytes, 2);
  const { vision, abstractor, language, lora } = plan.parameters;
  return [
    `parameters     ${(vision + abstractor + language + lora).toLocaleString('en')} (vision ${vision.toLocaleString('en')}, abstractor ${abstractor.toLocaleString('en')}, language ${language.toLocaleString('en')}, LoRA ${lora.toLocaleString('en')})`,
    `trainable      ${plan.trainable.toLocaleString('en')}, ${plan.bytesPerTrainable.toFixed(2)} bytes each (${recipe.lora === null ? recipe.weights : 'fp32'} weight and gradient, ${recipe.optimizer}${recipe.ema === null ? '' : ', average'})`,
    `weights        ${gb(plan.weightBytes)}`,
    `gradients      ${gb(plan.gradientBytes)}`,
    `optimizer      ${gb(plan.optimizerBytes)}`,
    plan.activationBytes === null
      ? 'activations    unknown: they depend on the family and on the sizes of the pictures'
      : `activations    ${gb(plan.activationBytes)} (micro-batch ${recipe.micro_batch}${recomputed(recipe)}, including gathered shards)`,
    perProcess(plan, recipe),
    `checkpoint     ${gb(plan.checkpointBytes)} on disk, ${recipe.keep_checkpoints} kept and one being written; writing needs the same amount of host memory`,
    ...(diskBytes === undefined
      ? [
          plan.activationBytes === null
            ? `prepared data  unknown: pictures keep their shapes; limit ${recipe.data.max_disk_gb} GB`
            : 'prepared data  unknown: the records do not exist yet',
        ]
      : [`prepared data  ${gb(diskBytes)}, limit ${recipe.data.max_disk_gb} GB`]),
  ];
}

/** Formats the memory per process. `gpu_gb` limits only GPUs; memory for a CPU is checked by `misfits`. */
function perProcess(
  { perGpuBytes, fits, activationBytes }: MemoryEstimate,
  { device, gpu_gb: gpu, processes }: TrainRecipe,
): string {
  const taken = `${activationBytes === null ? 'more than ' : ''}${formatGigabytes(perGpuBytes, 2)}`;
  const on = `on ${processes} ${processes === 1 ? 'process' : 'processes'}`;
  if (device === 'cpu') return `per process    ${taken} of memory, ${on}`;
  return `per GPU        ${taken} of ${gpu} GB, ${on}: ${fits ? (activationBytes === null ? 'may fit' : 'fits') : 'does not fit'}`;
}
