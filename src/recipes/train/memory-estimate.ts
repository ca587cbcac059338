import { WHOLE, type View } from '../../../bridge/protocol/views.js';
import type { FittedRecipe } from '../../config/train.js';

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
  /** The start on one GPU: the shards, and the largest tensor that is read for them. */
  readonly startGpuBytes: number;
  /** The start of one process in host memory, besides PyTorch and the file cache. Null if it is not known. */
  readonly startHostBytes: number | null;
  /** Size of the exported model; the first process holds it in host memory while it is written. */
  readonly exportBytes: number;
  /** Size of a checkpoint of all processes: disk space per kept checkpoint, and host memory while it is written. */
  readonly checkpointBytes: number;
  /** Whether update and start are within `gpu_gb` of the recipe. */
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
export function estimateMemory(shape: ModelShape, recipe: FittedRecipe, frames = 1): MemoryEstimate {
  const parameters = countParameters(shape, recipe.lora?.r ?? 0);
  const isQuantised = recipe.lora !== null && recipe.lora.quantise_base !== null;
  return estimateOf(parameters, trainableParameters(parameters, recipe), recipe, {
    matrices: isQuantised ? shape.num_hidden_layers * layerMatrices(shape) : 0,
    activationBytes: activations(shape, recipe, frames) + copies(shape, recipe),
    largest: Math.max(shape.vocab_size, shape.intermediate_size) * shape.hidden_size,
  });
}

export interface Sizes {
  /** Number of parameters that are stored as codes. */
  readonly matrices: number;
  /** Activations of one micro-batch and copies of weights for it; null if unknown, the sum is then a lower bound. */
  readonly activationBytes: number | null;
  /** Number of parameters of the largest tensor; null if unknown. */
  readonly largest: number | null;
}

/** Micro-batches of one process in an update. */
export const passesOf = ({ batch_size: batch, micro_batch: micro, processes }: FittedRecipe): number =>
  Math.ceil(batch / (micro * processes));

/** The memory of one update for known numbers of parameters. */
export function estimateOf(
  parameters: MemoryEstimate['parameters'],
  trainable: number,
  recipe: FittedRecipe,
  { matrices, activationBytes, largest }: Sizes,
): MemoryEstimate {
  const all = parameters.vision + parameters.abstractor + parameters.language;
  const frozen = all + parameters.lora - trainable;
  const held = recipe.weights === 'bf16' ? 2 : 4;
  const each = recipe.lora === null ? held : 4; // adapters, and the abstractor if it is trained, are stored in fp32
  // two moments of one byte, and two scales per 256 entries
  const state = recipe.optimizer === 'adamw_8bit' ? 2 + 8 / 256 : 2 * each;
  const average = recipe.ema === null ? 0 : 4;
  const perCode = recipe.lora?.quantise_base === 'int8' ? 1 : 0.5625; // nf4: half a byte, and a scale per 64 entries
  const shared = trainable * each + (frozen - matrices) * held;
  const weightBytes = shared / recipe.processes + matrices * perCode; // quantised weights are not sharded
  const gradientBytes = gradients(trainable, each, recipe);
  const optimizerBytes = (trainable * (state + average)) / recipe.processes;
  const isGathered = recipe.processes > 1 && recipe.keep_unsharded === 'all' && passesOf(recipe) > 1;
  const gathered = isGathered ? (all - matrices) * computeBytes(recipe) : 0;
  const perGpuBytes = (weightBytes + gradientBytes + optimizerBytes + gathered + (activationBytes ?? 0)) * OVERHEAD;
  const startGpuBytes = weightBytes + (largest ?? 0) * held;
  const checkpointBytes = shared + matrices * perCode + trainable * (state + average);
  const exported = { fp32: 4, bf16: 2, fp16: 2 }[recipe.export_weights ?? recipe.weights];
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
    startGpuBytes,
    startHostBytes: recipe.init === 'random' ? all * 4 : largest === null ? null : largest * held + parameters.lora * 4,
    exportBytes: all * exported,
    fits: Math.max(perGpuBytes, startGpuBytes) <= recipe.gpu_gb * 1e9,
  };
}

/**
 * Gradients on one GPU at the end of the backward passes. Sums of several micro-batches are in fp32. They are whole if
 * processes reduce them once an update, and then their shards exist too.
 */
function gradients(trainable: number, each: number, recipe: FittedRecipe): number {
  const shards = (trainable * each) / recipe.processes;
  if (passesOf(recipe) === 1) return shards;
  if (recipe.processes === 1) return trainable * 4;
  if (recipe.keep_unsharded !== 'nothing') return trainable * 4 + shards;
  return each === 4 ? shards : shards + (trainable * 4) / recipe.processes;
}

function trainableParameters(parameters: MemoryEstimate['parameters'], recipe: FittedRecipe): number {
  const part = (name: 'vision' | 'abstractor' | 'language'): number =>
    recipe.freeze.includes(name) ? 0 : parameters[name];
  if (recipe.lora !== null) return parameters.lora + (recipe.lora.abstractor ? part('abstractor') : 0);
  return part('vision') + part('abstractor') + part('language');
}

const layerMatrices = ({ hidden_size: d, intermediate_size: m }: ModelShape): number => 6 * d * d + 3 * d * m;

/** Bytes per number in matrix products. */
const computeBytes = ({ compute, device }: FittedRecipe): number =>
  (compute ?? (device === 'cuda' ? 'bf16' : 'fp32')) === 'bf16' ? 2 : 4;

/**
 * Bytes of activations that are stored for the backward pass of one micro-batch. The factors are from the tensors that
 * autograd saved in a forward pass of the published shape on the meta device. Per token they are 5 rows of the
 * abstractor's width, 14 + 3·m/d of the language model's and 9 + 3·m/c of the encoder's. With `recompute` only the
 * inputs of blocks are stored, plus the inside of one block.
 */
function activations(shape: ModelShape, recipe: FittedRecipe, frames: number): number {
  const { hidden_size: d, num_hidden_layers: layers, vocab_size: vocabulary } = shape;
  const { hidden_size: c = LITE0.hidden_size } = shape.visual_config.visual_model;
  const {
    num_learnable_queries: queries,
    hidden_size: a,
    num_hidden_layers: abstractors,
  } = shape.visual_config.visual_abstractor;
  const { tokens, positions, depth } = extent(shape, frames);
  const bytes = computeBytes(recipe);
  const saved = savedBytes(shape, recipe, frames);
  const seen = queries + positions / frames;
  const abstractor = bytes * frames * abstractors * (5 * seen * a + 32 * queries * seen);
  const frozen = recipe.freeze.includes('vision') || recipe.lora !== null;
  const inputs = { vision: depth * bytes * positions * c, language: layers * bytes * tokens * d };
  const vision = frozen ? bytes * positions * c : recipe.recompute ? inputs.vision : saved.vision;
  const language = recipe.recompute ? inputs.language : saved.language;
  const block = recipe.recompute || frozen ? Math.max(saved.language / layers, saved.vision / depth) : 0;
  const head = 16 * vocabulary * 12;
  return recipe.micro_batch * (abstractor + vision + language + block + head);
}

/** Bytes that autograd saves of one item in all blocks of each part, without recomputation. */
export function savedBytes(
  shape: ModelShape,
  recipe: FittedRecipe,
  frames: number,
): { readonly vision: number; readonly language: number } {
  const { hidden_size: d, intermediate_size: m, num_hidden_layers: layers } = shape;
  const { hidden_size: c = LITE0.hidden_size, intermediate_size: inner = LITE0.intermediate_size } =
    shape.visual_config.visual_model;
  const { tokens, positions, depth } = extent(shape, frames);
  const bytes = computeBytes(recipe);
  return {
    language: bytes * layers * tokens * (14 * d + 3 * m),
    vision: bytes * depth * positions * (9 * c + 3 * inner),
  };
}

/** The sizes that stand for EfficientNet-Lite0, which config.json does not state. */
const LITE0 = { hidden_size: 320, intermediate_size: 1280, num_hidden_layers: 16, patch_size: 32 } as const;

/** Tokens of the language model and positions of the encoder for one item, and blocks of the encoder. */
function extent(shape: ModelShape, frames: number): { tokens: number; positions: number; depth: number } {
  const {
    num_hidden_layers: depth = LITE0.num_hidden_layers,
    image_size: size,
    patch_size: patch = LITE0.patch_size,
  } = shape.visual_config.visual_model;
  const tokens = frames * (shape.visual_config.visual_abstractor.num_learnable_queries + 1) + TEXT_TOKENS;
  return { tokens, positions: frames * viewsOf(shape).length * ((size / patch) ** 2 + 1), depth };
}

/**
 * Bytes of weights in the compute precision, beside their shards. FSDP gathers two layers at a time (one is prefetched)
 * and the parts outside of layers. Trained parts also need their gradient and its fp32 copy for the reduction. One
 * process copies a layer and the parts outside only if weights have another precision; without `recompute` all layers.
 */
function copies(shape: ModelShape, recipe: FittedRecipe): number {
  const bytes = computeBytes(recipe);
  const layer = layerMatrices(shape) * (recipe.lora?.quantise_base ? 0 : 1);
  const outside = 2 * shape.vocab_size * shape.hidden_size + countAbstractor(shape);
  if (recipe.processes === 1) {
    const layers = recipe.recompute ? 1 : shape.num_hidden_layers;
    return bytes === (recipe.weights === 'bf16' ? 2 : 4) ? 0 : (layers * layer + outside) * bytes;
  }
  const reduced = recipe.lora === null ? (layer + outside) * (bytes + 4) : 0;
  return 2 * layer * bytes + outside * bytes + reduced;
}
