import Type, { type Static } from 'typebox';
import { closed, Count, Positive, Text } from './shapes.js';

const OptionalText = Type.Optional(Text);

/** Loads a checkpoint (a directory or a hub id) in place of the one that is loaded. */
export const LoadModelParams = closed({
  model: Text,
  revision: OptionalText,
  base: OptionalText,
  base_revision: OptionalText,
  device: Text,
  precision: Type.Enum(['auto', 'fp32', 'bf16', 'fp16']),
  offline: Type.Boolean(),
  cache_dir: OptionalText,
});
export const LoadModelProgress = closed({ stage: Text, done: Count, total: Count, unit: Text });
/**
 * What a score depends on. `revision` is the hub's commit or "local", `image_size` in pixels; `max_positions` is the
 * longest sequence that the model was made for, null where its config.json does not say.
 */
export const LoadedModel = closed({
  id: Text,
  revision: Text,
  base: OptionalText,
  weights_sha256: Type.String({ pattern: '^[0-9a-f]{64}$' }),
  precision: Text,
  device: Text,
  image_size: Positive,
  parameters: Positive,
  max_positions: Type.Union([Positive, Type.Null()]),
});
export const LoadModelResult = closed({ model: LoadedModel });

export const UnloadModelParams = closed({});
export const UnloadModelResult = closed({});

/** Reads headers only: nothing is loaded. */
export const InspectModelParams = closed({
  model: Text,
  revision: OptionalText,
  offline: Type.Boolean(),
  cache_dir: OptionalText,
});
export const InspectModelResult = closed({ inspection: Type.Object({}, { additionalProperties: true }) });

export type LoadModelParams = Static<typeof LoadModelParams>;
export type LoadedModel = Static<typeof LoadedModel>;
