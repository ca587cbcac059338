import Type, { type Static } from 'typebox';
import { KINDS, TASKS } from '../prompts/subject.js';
import { LEVELS, SCALES } from '../scoring/levels.js';
import { closed } from './error.js';

const ByLevel = (value: ReturnType<typeof Type.Number>) =>
  Type.Object({ excellent: value, good: value, fair: value, poor: value, bad: value }, closed);

/** How the pixels were made. With the model's weights and the prompt, all that decides a score. */
export const PreprocessingSchema = Type.Object(
  {
    /** Side of the square in pixels. */
    size: Type.Integer({ minimum: 1 }),
    /** The colour around pictures that are not square: int(255 · CLIP mean). */
    pad: Type.Array(Type.Integer({ minimum: 0, maximum: 255 }), { minItems: 3, maxItems: 3 }),
    resize: Type.Literal('pillow-bicubic'),
    auto_orient: Type.Boolean(),
    /** Frames taken a second of video; null is the reference's rule, one a second at int(fps · i). */
    fps: Type.Union([Type.Number({ exclusiveMinimum: 0 }), Type.Null()]),
    max_frames: Type.Union([Type.Integer({ minimum: 1 }), Type.Null()]),
    /** What had to be decided about this clip, in sentences. */
    warnings: Type.Optional(Type.Array(Type.String())),
  },
  closed,
);

/** One score: of one input for one task. Serialised as it is, in snake_case. */
export const ScoreResultSchema = Type.Object(
  {
    input: Type.String(),
    kind: Type.Enum([...KINDS]),
    task: Type.Enum([...TASKS]),
    score: Type.Number(),
    scale: Type.Enum([...SCALES]),
    /** On the MOS scale of the data set of a calibration, where one was asked for. */
    calibrated_score: Type.Optional(Type.Number()),
    level: Type.Enum([...LEVELS]),
    level_probs: ByLevel(Type.Number({ minimum: 0, maximum: 1 })),
    logits: ByLevel(Type.Number()),
    level_mass: Type.Number({ minimum: 0, maximum: 1 }),
    entropy: Type.Number({ minimum: 0 }),
    std: Type.Number({ minimum: 0 }),
    /** Of a video: how many frames the model saw. */
    frames: Type.Optional(Type.Integer({ minimum: 1 })),
    model: Type.Object(
      {
        id: Type.String(),
        revision: Type.String(),
        weights_sha256: Type.String(),
        precision: Type.String(),
        device: Type.String(),
      },
      closed,
    ),
    prompt: Type.Object({ name: Type.String(), text: Type.String() }, closed),
    preprocessing: PreprocessingSchema,
    score_version: Type.String({ pattern: '^[0-9a-f]{16}$' }),
  },
  closed,
);

/** An input that could not be scored for a task, and why. */
export const ScoreFailureSchema = Type.Object(
  {
    input: Type.String(),
    task: Type.Enum([...TASKS]),
    error: Type.Object({ code: Type.String(), message: Type.String() }, closed),
  },
  closed,
);

export type ScoreResult = Static<typeof ScoreResultSchema>;
export type ScoreFailure = Static<typeof ScoreFailureSchema>;
export type ScoreOutcome = ScoreResult | ScoreFailure;
export type Preprocessing = Static<typeof PreprocessingSchema>;

export function isFailure(outcome: ScoreOutcome): outcome is ScoreFailure {
  return 'error' in outcome;
}
