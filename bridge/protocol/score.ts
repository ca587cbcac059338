import Type, { type Static } from 'typebox';
import { WireError } from './envelope.js';
import { closed, Positive, Text } from './shapes.js';

/** A buffer behind the envelope: uint8 RGB frames, shape [frames, size, size, 3]. */
export const PixelBuffer = closed({
  dtype: Type.Literal('uint8'),
  shape: Type.Array(Positive, { minItems: 4, maxItems: 4 }),
});
/** The k-th `<|image|>` of every prompt stands for `visuals[k]`: one picture, or all frames of one video. */
export const ScoreItem = closed({
  id: Text,
  visuals: Type.Array(closed({ frames: Positive })),
  prompts: Type.Array(Text, { minItems: 1 }),
});
/** `buffers` declares the frames behind the envelope: one a visual, over all items in order. */
export const ScoreParams = closed({
  items: Type.Array(ScoreItem, { minItems: 1 }),
  levels: Type.Array(Text, { minItems: 2 }),
  buffers: Type.Array(PixelBuffer),
});
/** fp32 logits of the level words in the order asked, and ln Σ exp over the whole vocabulary. */
export const PromptScore = closed({ logits: Type.Array(Type.Number()), log_sum_exp: Type.Number() });
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
