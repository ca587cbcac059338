import Type, { type Static } from 'typebox';
import { FAMILIES } from '../../bridge/protocol/chat.js';
import { VIEWS } from '../../bridge/protocol/views.js';
import { FRAME_RULES, KINDS, TASKS, WANTED_FRAME_RULES } from '../prompts/subject.js';
import { LEVELS, SCALES, type Level } from '../scoring/levels.js';
import { closed } from './error.js';
import { FrameCurveSchema } from './frame-curve.js';
import { QualityMapSchema } from './quality-map.js';

const byLevel = (what: string, description: string, range: { minimum?: number; maximum?: number } = {}) => {
  const of = (level: Level) => Type.Number({ ...range, description: `${what} of ${level}` });
  return Type.Object(
    { excellent: of('excellent'), good: of('good'), fair: of('fair'), poor: of('poor'), bad: of('bad') },
    { ...closed, description },
  );
};

const tokens = (level: Level) =>
  Type.Array(Type.Integer({ minimum: 0 }), { minItems: 1, description: `token ids of ${level}` });

/** How the pixels were prepared. Together with the weights, the prompt and the scale, this determines a score. */
export const PreprocessingSchema = Type.Object(
  {
    size: Type.Integer({
      minimum: 1,
      description: 'side of a square that the model sees, in pixels; with form, of a typical picture',
    }),
    views: Type.Optional(
      Type.Array(Type.Enum([...VIEWS]), {
        minItems: 2,
        description: 'what the model sees of a picture, if that is not only the whole picture',
      }),
    ),
    form: Type.Optional(
      Type.Enum(['smart', 'native'], {
        description:
          'for models of transformers. smart: resized at the aspect ratio of the picture; native: resized by the processor of the model',
      }),
    ),
    multiple: Type.Optional(
      Type.Integer({ minimum: 1, description: 'with form smart: both sides are multiples of it' }),
    ),
    min_pixels: Type.Optional(
      Type.Integer({ minimum: 1, description: 'with form smart: smallest number of pixels of a resized picture' }),
    ),
    max_pixels: Type.Optional(
      Type.Integer({ minimum: 1, description: 'with form smart: largest number of pixels of a resized picture' }),
    ),
    clip_long_side: Type.Optional(
      Type.Integer({
        minimum: 1,
        description: 'frames of clips with a longer side were reduced to it, in pixels, before the model resized them',
      }),
    ),
    pad: Type.Optional(
      Type.Array(Type.Integer({ minimum: 0, maximum: 255 }), {
        minItems: 3,
        maxItems: 3,
        description:
          'RGB colour of the padding around pictures that are not square: int(255 · CLIP mean); absent with form',
      }),
    ),
    resize: Type.Enum(['pillow-bicubic', 'processor'], {
      description: 'resampling filter; processor: that of the processor of the model',
    }),
    auto_orient: Type.Boolean({ description: 'true: pictures are rotated by their EXIF orientation' }),
    fps: Type.Union([Type.Number({ exclusiveMinimum: 0 }), Type.Null()], {
      description: 'frames taken per second of video; null: one per second at int(fps · i), as in the reference',
    }),
    max_frames: Type.Union([Type.Integer({ minimum: 1 }), Type.Null()], {
      description: 'maximum number of frames of a video; null: no limit',
    }),
    frame_rule: Type.Enum([...WANTED_FRAME_RULES], {
      description:
        'auto: by time stamps if the frame rate of a clip varies; published: always int(fps · i); eight: evenly spaced over the clip',
    }),
    decoder: Type.Optional(Type.String({ description: 'decoder, if its pixels differ from those of Pillow' })),
  },
  { ...closed, description: 'how the pixels were prepared' },
);

/** Increase it when a field of a row is renamed, removed or redefined. Rows of version 1 do not have this field. */
export const SCHEMA_VERSION = 2;

/** The fields of the input in every row, scored or failed. */
const inputFields = {
  schema_version: Type.Literal(SCHEMA_VERSION, { description: 'version of the fields of a row' }),
  input: Type.String({
    description: 'path, URL or name of the input; bytes that are not UTF-8 are replaced by U+FFFD',
  }),
  input_base64: Type.Optional(
    Type.String({ description: 'exact bytes of the name in base64, if the name is not UTF-8' }),
  ),
  task: Type.Enum([...TASKS], { description: 'task that was scored' }),
  file_size: Type.Optional(Type.Integer({ minimum: 0, description: 'size of the file in bytes' })),
  modified: Type.Optional(
    Type.String({ description: 'time of the last change of the file, in ISO 8601 and UTC; only for files' }),
  ),
  sha256: Type.Optional(
    Type.String({ pattern: '^[0-9a-f]{64}$', description: 'SHA-256 of the bytes of the file, with --verify hash' }),
  ),
};

/** The score of one input for one task. Rows have the same field names in snake_case. */
export const ScoreResultSchema = Type.Object(
  {
    ...inputFields,
    kind: Type.Enum([...KINDS], { description: 'kind of the input' }),
    score: Type.Number({ description: 'score on scale; higher is better. The mean of the level values (Eq. 4)' }),
    scale: Type.Enum([...SCALES], { description: 'scale of score. mos5: 1 to 5; unit: 0 to 1; percent: 0 to 100' }),
    calibrated_score: Type.Optional(
      Type.Number({ description: 'score on the MOS scale of the calibration, with --calibration' }),
    ),
    calibration: Type.Optional(
      Type.String({
        pattern: '^[0-9a-f]{16}$',
        description: 'hash of the calibration; score and score_version do not depend on it',
      }),
    ),
    level: Type.Enum([...LEVELS], { description: 'the most probable level; not always the level nearest to score' }),
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
          'selection of the frames of a video. `published`: int(fps · i). `time`: by timestamps, for a variable rate. `counted`: as published, for a clip without timestamps. `eight`: eight pictures, or max_frames, evenly spaced from the first to the last',
      }),
    ),
    frame_curve: Type.Optional(FrameCurveSchema),
    width: Type.Integer({
      minimum: 1,
      description: 'width of the upright picture or frame in pixels, before resizing',
    }),
    height: Type.Integer({
      minimum: 1,
      description: 'height of the upright picture or frame in pixels, before resizing',
    }),
    map: Type.Optional(QualityMapSchema),
    warnings: Type.Array(Type.String(), {
      description: 'reasons why the score is doubtful, as sentences; empty for almost all inputs',
    }),
    model: Type.Object(
      {
        id: Type.String({ description: 'name, directory or hub id of the model, as in the request' }),
        revision: Type.String({ description: 'commit of the hub model; "local" for a directory' }),
        weights_sha256: Type.String({ description: 'SHA-256 of the weights' }),
        precision: Type.String({ description: 'fp32, bf16, fp16, fp8, int8 or nf4' }),
        device: Type.String({ description: 'device that computed the score: cpu, cuda:0, …' }),
        taught: Type.Optional(
          Type.Literal(false, { description: 'false: the model was not taught to rate (zero-shot); else absent' }),
        ),
        family: Type.Optional(Type.Enum([...FAMILIES], { description: 'family of a model of transformers' })),
        processor: Type.Optional(
          Type.String({ description: 'processor of the pictures of a model of transformers, and its version' }),
        ),
        processing_sha256: Type.Optional(
          Type.String({
            pattern: '^[0-9a-f]{64}$',
            description: 'digest of the processor, tokenizer, chat template and versions of a model of transformers',
          }),
        ),
      },
      { ...closed, description: 'model that computed the score' },
    ),
    prompt: Type.Object(
      {
        name: Type.String({ description: 'name of the prompt' }),
        text: Type.String({ description: 'text of the prompt; of a chat model: the message of the user' }),
        stem: Type.Optional(Type.String({ description: 'of a chat model: the given beginning of the answer' })),
        rendered: Type.Optional(
          Type.String({ description: 'of a chat model: the text that its chat template made, with the stem' }),
        ),
        level_tokens: Type.Optional(
          Type.Object(
            {
              excellent: tokens('excellent'),
              good: tokens('good'),
              fair: tokens('fair'),
              poor: tokens('poor'),
              bad: tokens('bad'),
            },
            { ...closed, description: 'of a chat model: the token ids of the level words' },
          ),
        ),
      },
      { ...closed, description: 'prompt of the score' },
    ),
    preprocessing: PreprocessingSchema,
    score_version: Type.String({
      pattern: '^[0-9a-f]{16}$',
      description:
        'hash of everything that determines a score: weights, precision, prompt, scale and preprocessing. Scores with the same version are comparable',
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
        { id: Type.String({ description: 'name, directory or hub id of the model, as in the request' }) },
        { ...closed, description: 'model that failed, if several models score the same inputs' },
      ),
    ),
    error: Type.Object(
      {
        code: Type.String({ description: 'code of the error registry' }),
        message: Type.String({ description: 'what is wrong and what to do' }),
      },
      { ...closed, description: 'reason why the input was not scored' },
    ),
  },
  closed,
);

/** One score, of one input for one task: a row of the output. */
export interface ScoreResult extends Static<typeof ScoreResultSchema> {}
/** An input that could not be scored for a task, and why. */
export interface ScoreFailure extends Static<typeof ScoreFailureSchema> {}
/** A result or a failure; `isFailure` distinguishes them. */
export type ScoreOutcome = ScoreResult | ScoreFailure;
export type Preprocessing = Static<typeof PreprocessingSchema>;

/**
 * Whether an outcome is a failure. If not, it has `score`, `level` and the other fields of a result.
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

/** The warnings of a score; empty for a failure. */
export function warningsOf(outcome: ScoreOutcome): readonly string[] {
  return isFailure(outcome) ? [] : outcome.warnings;
}

/** An input failed if any of its tasks failed. It has warnings if any of its scores has warnings. */
export function stateOf(outcomes: readonly ScoreOutcome[]): { readonly failed: boolean; readonly warned: boolean } {
  return { failed: outcomes.some(isFailure), warned: outcomes.some((outcome) => warningsOf(outcome).length > 0) };
}
