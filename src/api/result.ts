import Type, { type Static } from 'typebox';
import { FRAME_RULES, KINDS, TASKS } from '../prompts/subject.js';
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
    /** auto: by time stamps where the rate of a clip varies; published: always int(fps · i). */
    frame_rule: Type.Enum(['auto', 'published']),
    /** The decoder, where it is not one whose pixels equal Pillow's. */
    decoder: Type.Optional(Type.String()),
  },
  closed,
);

/** Raised by whoever renames, removes or redefines a field of a row. Rows of version 1 had no such field. */
export const SCHEMA_VERSION = 2;

/** What every row says of its input, scored or failed. */
const inputFields = {
  schema_version: Type.Literal(SCHEMA_VERSION),
  /** A name that is not UTF-8 has U+FFFD in place of the bytes that are not. */
  input: Type.String(),
  /** The exact bytes of such a name, in base64; absent where `input` is exact. */
  input_base64: Type.Optional(Type.String()),
  task: Type.Enum([...TASKS]),
  /** In bytes. */
  file_size: Type.Optional(Type.Integer({ minimum: 0 })),
  /** When the file was last changed, ISO 8601 in UTC. Files only. */
  modified: Type.Optional(Type.String()),
  /** Of the file's bytes, where asked for (`--verify hash`). */
  sha256: Type.Optional(Type.String({ pattern: '^[0-9a-f]{64}$' })),
};

/** One score: of one input for one task. Serialised as it is, in snake_case. */
export const ScoreResultSchema = Type.Object(
  {
    ...inputFields,
    kind: Type.Enum([...KINDS]),
    score: Type.Number(),
    scale: Type.Enum([...SCALES]),
    /** On the MOS scale of the data set of a calibration, where one was asked for. */
    calibrated_score: Type.Optional(Type.Number()),
    /** Hash of that calibration. `score_version` is of `score`, with a calibration and without. */
    calibration: Type.Optional(Type.String({ pattern: '^[0-9a-f]{16}$' })),
    level: Type.Enum([...LEVELS]),
    level_probs: ByLevel(Type.Number({ minimum: 0, maximum: 1 })),
    logits: ByLevel(Type.Number()),
    level_mass: Type.Number({ minimum: 0, maximum: 1 }),
    entropy: Type.Number({ minimum: 0 }),
    std: Type.Number({ minimum: 0 }),
    /** Of a video: how many frames the model saw. */
    frames: Type.Optional(Type.Integer({ minimum: 1 })),
    /** Of a video: how these frames were chosen. */
    frame_rule: Type.Optional(Type.Enum([...FRAME_RULES])),
    /** Of the decoded picture, or of a frame upright, in pixels: before padding and resizing. */
    width: Type.Integer({ minimum: 1 }),
    height: Type.Integer({ minimum: 1 }),
    /** What is known to be doubtful about this score, in sentences; empty for almost all inputs. */
    warnings: Type.Array(Type.String()),
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
    ...inputFields,
    /** The model that failed, where several score the same inputs. */
    model: Type.Optional(Type.Object({ id: Type.String() }, closed)),
    error: Type.Object({ code: Type.String(), message: Type.String() }, closed),
  },
  closed,
);

/** One score, of one input for one task: a row of the output. */
export interface ScoreResult extends Static<typeof ScoreResultSchema> {}
/** An input that could not be scored for a task, and why. */
export interface ScoreFailure extends Static<typeof ScoreFailureSchema> {}
/** A result or a failure; `isFailure` tells which. */
export type ScoreOutcome = ScoreResult | ScoreFailure;
export type Preprocessing = Static<typeof PreprocessingSchema>;

/** Whether an input could not be scored. Where it is false, `score` and `level` are there. */
export function isFailure(outcome: ScoreOutcome): outcome is ScoreFailure {
  return 'error' in outcome;
}

/** What is doubtful about a score; nothing where there is no score. */
export function warningsOf(outcome: ScoreOutcome): readonly string[] {
  return isFailure(outcome) ? [] : outcome.warnings;
}

/** An input failed where any of its tasks did; it has warnings where any of its scores has. */
export function stateOf(outcomes: readonly ScoreOutcome[]): { readonly failed: boolean; readonly warned: boolean } {
  return { failed: outcomes.some(isFailure), warned: outcomes.some((outcome) => warningsOf(outcome).length > 0) };
}
