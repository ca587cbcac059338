import { createHash } from 'node:crypto';
import { LEVELS, LEVEL_VALUES, type Scale } from '../../scoring/levels.js';
import type { Preprocessing } from '../../api/result.js';
import type { ModelChoice } from '../../config/models.js';
import type { PromptTemplate } from '../../prompts/render.js';

/** Increase it with every change that moves scores by more than rounding (1e-5 in fp32). */
const MATHS_VERSION = 1;

/** Increase it with every change of the codes or products of `weights/codes.py` that moves scores. */
const CODES_VERSION = 1;
const CODES: readonly string[] = ['fp8', 'int8', 'nf4'];

/** What decides the scores of a model of transformers, besides weights and pixels. The keys are in a fixed order. */
export interface ChatVersion {
  readonly processing_sha256: string | undefined;
  readonly stem: string | undefined;
  readonly texts: PromptTemplate['texts'];
  readonly settings: ModelChoice['chat'];
}

/**
 * Hash (16 hex digits) of everything that can change a score. It covers the weights, the precision, the prompt
 * template, the levels and their values on the scale. It also covers the preprocessing of pixels and frames and the
 * version of the computation.
 *
 * The device is excluded, so that a run can be resumed on another machine. The same precision on another device agrees
 * within the tolerance of batch sizes and worker counts. Every result has the device in its own field.
 */
export function scoreVersion(parts: {
  weightsSha256: string;
  precision: string;
  promptText: string;
  scale: Scale;
  preprocessing: Omit<Preprocessing, 'decoder'>;
  /** Of a model of transformers: everything else that can change its scores. */
  chat?: ChatVersion | undefined;
}): string {
  const { form, multiple, min_pixels, max_pixels, clip_long_side } = parts.preprocessing;
  const { size, views, pad, resize, auto_orient, fps, max_frames, frame_rule } = parts.preprocessing;
  // a list, not an object, because the hash depends on the order
  const everything = [
    MATHS_VERSION,
    parts.weightsSha256,
    CODES.includes(parts.precision) ? `${parts.precision}.${CODES_VERSION}` : parts.precision,
    parts.promptText,
    LEVELS,
    parts.scale,
    LEVEL_VALUES[parts.scale],
    size,
    pad,
    resize,
    auto_orient,
    fps,
    max_frames,
    frame_rule,
    ...(views === undefined ? [] : [views]),
    ...(parts.chat === undefined ? [] : [parts.chat, form, multiple, min_pixels, max_pixels]),
    ...(clip_long_side === undefined ? [] : [{ clip_long_side }]),
  ];
  return createHash('sha256').update(JSON.stringify(everything)).digest('hex').slice(0, 16);
}
