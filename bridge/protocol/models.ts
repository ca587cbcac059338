import Type, { type Static } from 'typebox';
import { ChatSettings, FAMILIES, Preparation } from './chat.js';
import { DeviceMemory } from './memory.js';
import { closed, Count, Positive, Text } from './shapes.js';
import { VIEWS } from './views.js';

const OptionalText = Type.Optional(Text);
const Sha256 = Type.String({ pattern: '^[0-9a-f]{64}$' });

/** The code that computes a model: the literal mPLUG-Owl2, or an image-text model of the package `transformers`. */
export const BACKENDS = ['mplug_owl2', 'transformers'] as const;
export type Backend = (typeof BACKENDS)[number];

/** Precisions that can be requested. `auto` is bf16 on CUDA for models of a billion parameters or more, else fp32. */
export const PRECISIONS = ['auto', 'fp32', 'bf16', 'fp16', 'fp8', 'int8', 'nf4'] as const;
export type Precision = (typeof PRECISIONS)[number];

/**
 * The requests that follow, so that a GPU is prepared for them: each entry of `prompts` has all prompts about one
 * picture. `levels` are the level words in the order of the requests.
 */
export const WarmUp = closed({
  prompts: Type.Array(Type.Array(Text, { minItems: 1 })),
  levels: Type.Array(Text, { minItems: 1 }),
});
export type WarmUp = Static<typeof WarmUp>;

/**
 * Loads a checkpoint (a directory or a hub id) and replaces the loaded one. With `deterministic`, the bits of an item's
 * answers do not depend on its batch. Without `backend` it is mplug_owl2. `chat` is only for transformers, `warm_up`
 * only for mplug_owl2.
 */
export const LoadModelParams = closed({
  backend: Type.Optional(Type.Enum([...BACKENDS])),
  chat: Type.Optional(ChatSettings),
  model: Text,
  revision: OptionalText,
  base: OptionalText,
  base_revision: OptionalText,
  device: Text,
  precision: Type.Enum([...PRECISIONS]),
  offline: Type.Boolean(),
  cache_dir: OptionalText,
  deterministic: Type.Optional(Type.Boolean()),
  warm_up: Type.Optional(WarmUp),
});
export const LoadModelProgress = closed({ stage: Text, done: Count, total: Count, unit: Text });
/**
 * Properties of the model that affect scores. `revision` is the commit of the hub or "local". `image_size` is in
 * pixels. A frame has all `views` of a picture, which are squares of `image_size`, stacked from top to bottom.
 * `max_positions` is the longest sequence that the model supports, or null if its config.json does not contain
 * it.
 *
 * Only models of transformers have the last four. `image_size` is then the side of a typical picture.
 * `processing_sha256` covers what turns pixels and text into tokens: processor, tokenizer, chat template, pixel bounds
 * and level tokens. It also covers the version of transformers and the attention.
 */
export const LoadedModel = closed({
  id: Text,
  revision: Text,
  base: OptionalText,
  weights_sha256: Sha256,
  precision: Text,
  device: Text,
  image_size: Positive,
  views: Type.Array(Type.Enum([...VIEWS]), { minItems: 1 }),
  parameters: Positive,
  max_positions: Type.Union([Positive, Type.Null()]),
  family: Type.Optional(Type.Enum([...FAMILIES])),
  preparation: Type.Optional(Preparation),
  processor: OptionalText,
  processing_sha256: Type.Optional(Sha256),
});
/** `device_memory` has the peak of the load. A CPU has none. */
export const LoadModelResult = closed({ model: LoadedModel, device_memory: Type.Optional(DeviceMemory) });

export const UnloadModelParams = closed({});
export const UnloadModelResult = closed({});

/**
 * Reads only headers. No model is loaded. With `chat`, of models of transformers only, it also reads the processor: the
 * result then has the `preparation` and `image_size` of a loaded model.
 */
export const InspectModelParams = closed({
  backend: Type.Optional(Type.Enum([...BACKENDS])),
  chat: Type.Optional(ChatSettings),
  model: Text,
  revision: OptionalText,
  offline: Type.Boolean(),
  cache_dir: OptionalText,
});
export const InspectModelResult = closed({ inspection: Type.Object({}, { additionalProperties: true }) });

export type InspectModelParams = Static<typeof InspectModelParams>;
export type LoadModelParams = Static<typeof LoadModelParams>;
export type LoadedModel = Static<typeof LoadedModel>;
