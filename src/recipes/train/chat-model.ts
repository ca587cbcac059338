/** What a training of a model of transformers needs to know before it starts. */
import { existsSync, openSync, readFileSync, readSync, closeSync } from 'node:fs';
import { join } from 'node:path';
import type { Preparation } from '../../../bridge/protocol/chat.js';
import { DEFAULT_MAX_FRAMES, type FittedRecipe, type TrainRecipe } from '../../config/train.js';
import { QalignError } from '../../base/errors.js';
import { chatFrames, MOST_CHAT_FRAMES } from '../../media/preprocessing.js';
import type { FrameForm } from '../../media/views/views.js';
import { estimateOf, type MemoryEstimate } from './memory-estimate.js';

/** Numbers of parameters, from the headers of the weight files. */
export interface ChatSizes {
  readonly vision: number;
  readonly merger: number;
  readonly language: number;
  /** Inputs and outputs of all linear layers of the decoder: LoRA of rank r has r times as many parameters. */
  readonly sides: number;
}

/** The parts that a recipe can freeze. */
const CHAT_PARTS = ['vision', 'merger', 'language'] as const;
type ChatPart = (typeof CHAT_PARTS)[number];

/** Names in the files of all supported families, by part. The first match counts. */
const PARTS: readonly (readonly [ChatPart | 'unused', RegExp])[] = [
  ['unused', /^mtp\./],
  ['merger', /(^|\.)(visual\.(merger|deepstack_merger_list)|multi_modal_projector|connector)\.|(^|\.)image_newline$/],
  ['vision', /^(model\.)?(visual|vision_tower|vision_model)\./],
  ['language', /^(model\.)?(language_model|text_model)\.|^model\.(layers|embed_tokens|norm)\.|^lm_head\./],
];
const DECODER = /(^|\.)layers\.\d+\..*\.weight$/;
const MOST_HEADER = 100e6;

/**
 * Reads the sizes of a model in a local folder. Undefined if there are no safetensors, or names that no supported
 * family has: a wrong number would be worse than none.
 */
export function readChatSizes(folder: string): ChatSizes | undefined {
  const found = { vision: 0, merger: 0, language: 0, unused: 0, sides: 0 };
  const files = weightFiles(folder);
  if (files.length === 0) return undefined;
  for (const file of files) {
    const header = readHeader(join(folder, file));
    if (header === undefined) return undefined;
    for (const [name, { shape }] of Object.entries(header)) {
      if (name === '__metadata__') continue;
      const part = PARTS.find(([, pattern]) => pattern.test(name))?.[0];
      if (part === undefined || !Array.isArray(shape)) return undefined;
      found[part] += shape.reduce((product, side) => product * side, 1);
      if (part === 'language' && shape.length === 2 && DECODER.test(name)) found.sides += shape[0]! + shape[1]!;
    }
  }
  return found;
}

function weightFiles(folder: string): string[] {
  try {
    const index = join(folder, 'model.safetensors.index.json');
    if (!existsSync(index)) return existsSync(join(folder, 'model.safetensors')) ? ['model.safetensors'] : [];
    const { weight_map: map } = JSON.parse(readFileSync(index, 'utf8')) as { weight_map?: Record<string, string> };
    return [...new Set(Object.values(map ?? {}))];
  } catch {
    return [];
  }
}

/** The JSON at the beginning of a safetensors file, after its length as a 64-bit number. */
function readHeader(file: string): Record<string, { readonly shape?: number[] }> | undefined {
  let descriptor: number | undefined;
  try {
    descriptor = openSync(file, 'r');
    const length = Buffer.alloc(8);
    readSync(descriptor, length, 0, 8, 0);
    const bytes = Number(length.readBigUInt64LE());
    if (bytes > MOST_HEADER) return undefined;
    const text = Buffer.alloc(bytes);
    if (readSync(descriptor, text, 0, bytes, 8) !== bytes) return undefined;
    return JSON.parse(text.toString()) as Record<string, { readonly shape?: number[] }>;
  } catch {
    return undefined;
  } finally {
    if (descriptor !== undefined) closeSync(descriptor);
  }
}

/** Memory of weights, gradients and optimizer. Activations are not known, so the sum is a lower bound. */
export function estimateChat({ vision, merger, language, sides }: ChatSizes, recipe: FittedRecipe): MemoryEstimate {
  const parameters = { vision, abstractor: merger, language, lora: sides * (recipe.lora?.r ?? 0) };
  const part = (name: ChatPart, count: number): number => (recipe.freeze.includes(name) ? 0 : count);
  const trainable =
    recipe.lora === null
      ? part('vision', vision) + part('merger', merger) + part('language', language)
      : parameters.lora + (recipe.lora.abstractor ? merger : 0);
  return estimateOf(parameters, trainable, recipe, { matrices: 0, activationBytes: null, largest: null });
}

/** The frames of a model of transformers; both splits have the same. */
export const chatForm = (preparation: Preparation): FrameForm => ({ size: 0, preparation });

/** How the frames of a clip are chosen, as in scoring: eight at even distances, or `data.max_frames`. */
export const clipFrames = ({ data: { max_frames: most } }: TrainRecipe): ReturnType<typeof chatFrames> =>
  chatFrames(most === DEFAULT_MAX_FRAMES ? {} : { frameRule: 'eight', maxFrames: most });

/**
 * Checks that a recipe has only keys that a model of transformers can be trained with.
 * @throws QalignError CONFIG_INVALID
 */
export function requireChatKeys(recipe: TrainRecipe, name: string): void {
  const { data } = recipe;
  const unused: readonly (readonly [string, boolean])[] = [
    ['base', recipe.base !== null],
    ['init', recipe.init !== 'pretrained'],
    ['encoder_weights', recipe.encoder_weights !== null],
    ['cache_features', recipe.cache_features],
    ['train_stages_from', recipe.train_stages_from !== null],
    ['dropout', recipe.dropout > 0],
    ['token_dropout', recipe.token_dropout > 0],
    ['channel_dropout', recipe.channel_dropout > 0],
    ['data.prepare_size', data.prepare_size !== null],
    ['data.distortions', data.distortions !== null],
    ['data.rated_shapes', data.rated_shapes > 0],
    ['lora.quantise_base', recipe.lora !== null && recipe.lora.quantise_base !== null],
    ['learning_rates.abstractor', recipe.learning_rates.abstractor !== undefined],
  ];
  const wrong = unused.filter(([, isSet]) => isSet).map(([key]) => key);
  if (wrong.length > 0)
    throw new QalignError(
      'CONFIG_INVALID',
      `${name} is a model of transformers, which is trained without ${wrong.join(', ')}; remove ${wrong.length === 1 ? 'this key' : 'these keys'}.`,
    );
  if (recipe.freeze.includes('abstractor'))
    throw new QalignError(
      'CONFIG_INVALID',
      `${name} is a model of transformers and has no abstractor; freeze the merger, which is between vision encoder and language model.`,
    );
  if (recipe.lora !== null && recipe.freeze.length > 0)
    throw new QalignError(
      'CONFIG_INVALID',
      `freeze has no effect with lora, which freezes all weights but its own; remove freeze, and set lora.abstractor=false to freeze the merger too.`,
    );
  if (recipe.lora === null && CHAT_PARTS.every((part) => recipe.freeze.includes(part)))
    throw new QalignError('CONFIG_INVALID', 'freeze names every part of the model, so nothing is trained; remove one.');
  if (data.max_frames > MOST_CHAT_FRAMES)
    throw new QalignError(
      'CONFIG_INVALID',
      `data.max_frames is ${data.max_frames}, but ${name} takes at most ${MOST_CHAT_FRAMES} frames of a clip; lower it.`,
    );
}

/**
 * Checks that a recipe of the first backend does not name parts of models of transformers.
 * @throws QalignError CONFIG_INVALID
 */
export function refuseMerger(recipe: TrainRecipe, name: string): void {
  if (!recipe.freeze.includes('merger') && recipe.learning_rates.merger === undefined) return;
  throw new QalignError(
    'CONFIG_INVALID',
    `${name} has no merger, which is a part of models of transformers; use abstractor in freeze and learning_rates.`,
  );
}
