import Type, { type Static } from 'typebox';
import { WireError } from './envelope.js';
import { closed, Count, Positive, Text } from './shapes.js';

/** A buffer behind the envelope: uint8 RGB frames, shape [frames, size, size, 3]. */
export const PixelBuffer = closed({
  dtype: Type.Literal('uint8'),
  shape: Type.Array(Positive, { minItems: 4, maxItems: 4 }),
});
/** Frames whose pixels are in a buffer: one picture, or all frames of one video. */
const Pixels = closed({ frames: Positive });
/** `frames` frames of a clip that `encode` has sent, from its frame number `first` on. */
const ClipRange = closed({ clip: Text, first: Count, frames: Positive });
/** The k-th `<|image|>` of every prompt stands for `visuals[k]`. */
export const PixelItem = closed({
  id: Text,
  visuals: Type.Array(Pixels),
  prompts: Type.Array(Text, { minItems: 1 }),
});
export const ScoreItem = closed({
  id: Text,
  visuals: Type.Array(Type.Union([Pixels, ClipRange])),
  prompts: Type.Array(Text, { minItems: 1 }),
});
/** `buffers` declares the frames behind the envelope: one a visual that has pixels, over all items in order. */
export const ScoreParams = closed({
  items: Type.Array(ScoreItem, { minItems: 1 }),
  levels: Type.Array(Text, { minItems: 2 }),
  buffers: Type.Array(PixelBuffer),
});
/**
 * fp32 logits of the level words in the order asked, ln Σ exp over the whole vocabulary, and how many positions prompt
 * and frames took in the sequence.
 */
export const PromptScore = closed({
  logits: Type.Array(Type.Number()),
  log_sum_exp: Type.Number(),
  positions: Positive,
});
export const ScoredItem = closed({
  id: Text,
  prompts: Type.Optional(Type.Array(PromptScore)),
  error: Type.Optional(WireError),
});
export const ScoreResult = closed({
  items: Type.Array(ScoredItem, { minItems: 1 }),
  timings: closed({ compute_ms: Type.Number({ minimum: 0 }) }),
});

export type ScoredItem = Static<typeof ScoredItem>;
