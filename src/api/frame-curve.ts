import Type, { type Static } from 'typebox';
import { closed } from './error.js';

/** Frames of one question of a window curve. More frames would make a long clip cost too much. */
export const WINDOW_FRAMES = { minimum: 2, maximum: 60 } as const;

/** Scores of the frames of a clip beside its own score. They are on the scale of the score and are not calibrated. */
export const FrameCurveSchema = Type.Object(
  {
    kind: Type.Enum(['frame', 'window'], {
      description: 'frame: the image question about each frame; window: the video question about consecutive frames',
    }),
    window: Type.Integer({ minimum: 1, description: 'number of frames of each question; 1 for frame' }),
    prompt: Type.String({ description: 'text of the question about each frame or window' }),
    times_s: Type.Array(Type.Number(), {
      minItems: 1,
      description:
        'display time of each frame, or of the first frame of each window, in seconds after the first picture',
    }),
    scores: Type.Array(Type.Number(), { minItems: 1, description: 'score of each frame or window, on scale' }),
    mean: Type.Number({ description: 'mean of scores' }),
    p5: Type.Number({ description: '5th percentile of scores, with linear interpolation' }),
    min: Type.Number({ description: 'lowest of scores' }),
    worst: Type.Array(Type.Integer({ minimum: 0 }), {
      minItems: 1,
      maxItems: 3,
      description: 'indices of the three lowest scores in scores and times_s, the lowest first',
    }),
  },
  { ...closed, description: 'scores of the frames of a clip, with --per-frame' },
);
export interface FrameCurve extends Static<typeof FrameCurveSchema> {}
