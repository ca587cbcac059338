import Type, { type Static } from 'typebox';
import { WireError } from './envelope.js';
import { PixelBuffer, PixelItem } from './score.js';
import { closed, Text } from './shapes.js';

/** Items as in `score`, with pixels only. The result has generated text instead of logits. */
export const GenerateParams = closed({
  items: Type.Array(PixelItem, { minItems: 1 }),
  max_new_tokens: Type.Integer({ minimum: 1, maximum: 1024 }),
  buffers: Type.Array(PixelBuffer),
});
/** The text after the prompt. `finished` is false if `max_new_tokens` cut the text off. */
export const GeneratedText = closed({
  text: Type.String(),
  tokens: Type.Integer({ minimum: 0 }),
  finished: Type.Boolean(),
});
export const GeneratedItem = closed({
  id: Text,
  prompts: Type.Optional(Type.Array(GeneratedText)),
  error: Type.Optional(WireError),
});
export const GenerateResult = closed({
  items: Type.Array(GeneratedItem, { minItems: 1 }),
  timings: closed({ compute_ms: Type.Number({ minimum: 0 }) }),
});

export type GenerateResult = Static<typeof GenerateResult>;
