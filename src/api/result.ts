import Type, { type Static } from 'typebox';
import { FRAME_RULES, KINDS, TASKS } from '../prompts/subject.js';
import { LEVELS, SCALES, type Level } from '../scoring/levels.js';
import { closed } from './error.js';

const byLevel = (what: string, description: string, range: { minimum?: number; maximum?: number } = {}) => {
  const of = (level: Level) => Type.Number({ ...range, description: `${what} of ${level}` });
  return Type.Object(
    { excellent: of('excellent'), good: of('good'), fair: of('fair'), poor: of('poor'), bad: of('bad') },
    { ...closed, description },
  );
};

/** How the pixels were made. With the model's weights and the prompt, all that decides a score. */
export const PreprocessingSchema = Type.Object(
  {
    size: Type.Integer({ minimum: 1, description: 'side of the square that the model sees, in pixels' }),
    pad: Type.Array(Type.Integer({ minimum: 0, maximum: 255 }), {
      minItems: 3,
      maxItems: 3,
      description: 'RGB colour around pictures that are not square: int(255 · CLIP mean)',
    }),
    resize: Type.Literal('pillow-bicubic', { description: 'resampling' }),
    auto_orient: Type.Boolean({ description: 'pictures are turned as their EXIF orientation says' }),
    fps: Type.Union([Type.Number({ exclusiveMinimum: 0 }), Type.Null()], {
      description: 'frames taken per second of video; null: one per second at int(fps · i), as in the reference',
    }),
    max_frames: Type.Union([Type.Integer({ minimum: 1 }), Type.Null()], {
      description: 'maximum number of frames of a video; null: no limit',
    }),
    frame_rule: Type.Enum(['auto', 'published'], {
      description: 'auto: by time stamps where the frame rate of a clip varies; published: always int(fps · i)',
    }),
    decoder: Type.Optional(Type.String({ description: 'the decoder, where its pixels do not equal those of Pillow' })),
  },
  { ...closed, description: 'how the pixels were made' },
);

/** Increase it when a field of a row is renamed, removed or redefined. Rows of version 1 do not have this field. */
export const SCHEMA_VERSION = 2;

/** What every row says of its input, scored or failed. */
const inputFields = {
  schema_version: Type.Literal(SCHEMA_VERSION, { description: 'version of the fields of a row' }),
  input: Type.String({
    description: 'path, URL or name of the input; bytes of a name that are not UTF-8 are shown as U+FFFD',
  }),
  input_base64: Type.Optional(
    Type.String({ description: 'exact bytes of the name in base64, where input does not show them' }),
  ),
  task: Type.Enum([...TASKS], { description: 'what was rated' }),
  file_size: Type.Optional(Type.Integer({ minimum: 0, description: 'size of the file in bytes' })),
  modified: Type.Optional(Type.String({ description: 'when the file was last changed, ISO 8601 in UTC; files only' })),
  sha256: Type.Optional(
    Type.String({ pattern: '^[0-9a-f]{64}$', description: 'digest of the bytes of the file, with --verify hash' }),
  ),
};

/** One score: of one input for one task. Serialised as it is, in snake_case. */
export const ScoreResultSchema = Type.Object(
  {
    ...inputFields,
    kind: Type.Enum([...KINDS], { description: 'what the input is' }),
    score: Type.Number({ description: 'the score on scale, higher is better: the mean of the level values (Eq. 4)' }),
    scale: Type.Enum([...SCALES], { description: 'scale of score. mos5: 1 to 5; unit: 0 to 1; percent: 0 to 100' }),
    calibrated_score: Type.Optional(
      Type.Number({ description: 'score on the MOS scale of a calibration, with --calibration' }),
    ),
    calibration: Type.Optional(
      Type.String({
        pattern: '^[0-9a-f]{16}$',
        description: 'hash of that calibration; score and score_version do not depend on it',
      }),
    ),
    level: Type.Enum([...LEVELS], { description: 'the most probable level; not always the one nearest to score' }),
    level_probs: byLevel('probability', 'probabilities of the five levels, which sum to 1', { minimum: 0, maximum: 1 }),
    logits: byLevel('logit', 'logits of the five level words, as the model computed them'),
    level_mass: Type.Number({
      minimum: 0,
      maximum: 1,
      description:
        'probability of the five level words within the whole vocabulary; near 0 the model wanted to answer with a different word',
    }),
    entropy: Type.Number({
      minimum: 0,
      description: 'entropy of level_probs in nats: 0 (certain) to 1.609 (all levels equal)',
    }),
    std: Type.Number({ minimum: 0, description: 'standard deviation of the level values under level_probs, on scale' }),
    frames: Type.Optional(Type.Integer({ minimum: 1, description: 'frames of a video that the model saw' })),
    frame_rule: Type.Optional(
      Type.Enum([...FRAME_RULES], {
        description:
          'selection of the frames of a video. `published`: int(fps · i). `time`: by timestamps, for a variable rate. `counted`: as published, for a clip without timestamps',
      }),
    ),
    width: Type.Integer({
      minimum: 1,
      description: 'width of the upright picture or frame in pixels, before resizing',
    }),
    height: Type.Integer({
      minimum: 1,
      description: 'height of the upright picture or frame in pixels, before resizing',
    }),
    warnings: Type.Array(Type.String(), {
      description: 'what is doubtful about the score, in sentences; empty for almost all inputs',
    }),
    model: Type.Object(
      {
        id: Type.String({ description: 'name, directory or hub id, as it was asked for' }),
        revision: Type.String({ description: 'commit of the hub; local for a directory' }),
        weights_sha256: Type.String({ description: 'digest of the weights' }),
        precision: Type.String({ description: 'fp32, bf16 or fp16' }),
        device: Type.String({ description: 'device that computed it: cpu, cuda:0, …' }),
      },
      { ...closed, description: 'the model that scored' },
    ),
    prompt: Type.Object(
      {
        name: Type.String({ description: 'name of the prompt' }),
        text: Type.String({ description: 'the question that the model was asked' }),
      },
      { ...closed, description: 'the prompt' },
    ),
    preprocessing: PreprocessingSchema,
    score_version: Type.String({
      pattern: '^[0-9a-f]{16}$',
      description:
        'hash of all that decides a score: weights, precision, prompt, scale and preprocessing. Scores of one version are comparable',
    }),
  },
  closed,
);

/** An input that could not be scored for a task, and why. */
export const ScoreFailureSchema = Type.Object(
  {
    ...inputFields,
    model: Type.Optional(
      Type.Object(
        { id: Type.String({ description: 'name, directory or hub id, as it was asked for' }) },
        { ...closed, description: 'the model that failed, where several score the same inputs' },
      ),
    ),
    error: Type.Object(
      {
        code: Type.String({ description: 'a code of the error registry' }),
        message: Type.String({ description: 'what is wrong and what to do, in a sentence' }),
      },
      { ...closed, description: 'why the input was not scored' },
    ),
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

/**
 * Whether an input could not be scored. Where it is false, `score` and `level` are there.
 * @example
 * ```ts
 * await using scorer = await createScorer();
 * const outcome = await scorer.score('photo.jpg', { task: 'quality' });
 * console.log(isFailure(outcome) ? outcome.error.message : outcome.score);
 * ```
 */
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
