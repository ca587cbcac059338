/** What models of the package `transformers` need besides weights: their chat, their pixels, their level tokens. */
import Type, { type Static } from 'typebox';
import { closed, Count, Positive, Text } from './shapes.js';

/** `model_type` of config.json, for the families that can score. */
export const FAMILIES = [
  'qwen2_5_vl',
  'qwen3_vl',
  'qwen3_5',
  'internvl',
  'llava_onevision',
  'smolvlm',
  'gemma3',
] as const;
export type Family = (typeof FAMILIES)[number];

/** Token ids of words. */
export const LevelTokenIds = Type.Record(Text, Type.Array(Count, { minItems: 1 }));

/**
 * The tokens of the level words. `alone`: the first token of the word without a space. `ids`: the first of the given
 * ids. `sequence`: all tokens of the word after the stem; the answer is the sum of their log-probabilities.
 */
export const LevelTokens = Type.Union([
  closed({ mode: Type.Literal('alone') }),
  closed({ mode: Type.Literal('ids'), ids: LevelTokenIds }),
  closed({ mode: Type.Literal('sequence') }),
]);
export type LevelTokens = Static<typeof LevelTokens>;

/** Least and most pixels of a picture after resizing. They replace those of the processor. */
export const PixelBounds = closed({ min: Type.Optional(Positive), max: Type.Optional(Positive) });
export type PixelBounds = Static<typeof PixelBounds>;

/** `false`: the template gets `enable_thinking: false`. `default`: the template does not get this option. */
export const Thinking = Type.Union([Type.Literal(false), Type.Literal('default')]);

/**
 * How a chat model is asked. Without `level_tokens`, a level word must be one token after the stem and a space. A
 * vocabulary where that is ambiguous is refused.
 */
export const ChatSettings = closed({
  system: Type.Optional(Text),
  thinking: Thinking,
  pixels: Type.Optional(PixelBounds),
  level_tokens: Type.Optional(LevelTokens),
});
export type ChatSettings = Static<typeof ChatSettings>;

/**
 * Who resizes pictures. `smart`: Node, to sides that are multiples of `multiple`, with `min_pixels` to `max_pixels`
 * pixels. `native`: the processor in Python, from the picture at its own size.
 */
export const Preparation = Type.Union([
  closed({ kind: Type.Literal('smart'), multiple: Positive, min_pixels: Positive, max_pixels: Positive }),
  closed({ kind: Type.Literal('native') }),
]);
export type Preparation = Static<typeof Preparation>;
