import Type, { type Static } from 'typebox';
import { LevelTokenIds } from './chat.js';
import { WireError } from './envelope.js';
import { closed, Count, Positive, Text } from './shapes.js';

/**
 * A buffer after the envelope: uint8 RGB frames, shape [frames, views · size, size, 3]. Models of transformers take
 * [frames, height, width, 3] of any size (`native`), or with multiples of `multiple` (`smart`).
 */
export const PixelBuffer = closed({
  dtype: Type.Literal('uint8'),
  shape: Type.Array(Positive, { minItems: 4, maxItems: 4 }),
});
/** Frames with pixels in a buffer: one picture, or all frames of one video. */
const Pixels = closed({ frames: Positive });
/** `frames` frames of a clip that was sent with `encode`, starting at frame `first`. */
const ClipRange = closed({ clip: Text, first: Count, frames: Positive });
/** The k-th `<|image|>` of every prompt is replaced by `visuals[k]`. */
export const PixelItem = closed({
  id: Text,
  visuals: Type.Array(Pixels),
  prompts: Type.Array(Text, { minItems: 1 }),
});
/**
 * A prompt about all frames of the item, or about the frames [from, to). The half-open range counts the frames of all
 * visuals in order. Then the markers of `text` are replaced by the visuals that have frames in the range. Models of
 * transformers take no range, and always `stem`, the beginning of the answer. `text` is then the message of the user,
 * without the words of the chat template.
 */
const FramePrompt = closed({
  text: Text,
  stem: Type.Optional(Text),
  frames: Type.Optional(Type.Array(Count, { minItems: 2, maxItems: 2 })),
});
/** Every frame is encoded once, for all prompts of its item. */
export const ScoreItem = closed({
  id: Text,
  visuals: Type.Array(Type.Union([Pixels, ClipRange])),
  prompts: Type.Array(FramePrompt, { minItems: 1 }),
});
/** `buffers` declares the frames after the envelope: one entry per visual with pixels, over all items in order. */
export const ScoreParams = closed({
  items: Type.Array(ScoreItem, { minItems: 1 }),
  levels: Type.Array(Text, { minItems: 2 }),
  buffers: Type.Array(PixelBuffer),
});
/**
 * fp32 logits of the level words in the requested order, and ln Σ exp over the whole vocabulary. `positions` is the
 * number of sequence positions of the prompt and the frames. Models of transformers also return the text that the chat
 * template made, with the stem, and the ids of the level words. If the words have several tokens, `logits` are sums of
 * log-probabilities and `log_sum_exp` is 0.
 */
export const PromptScore = closed({
  logits: Type.Array(Type.Number()),
  log_sum_exp: Type.Number(),
  positions: Positive,
  rendered: Type.Optional(Text),
  level_tokens: Type.Optional(LevelTokenIds),
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
