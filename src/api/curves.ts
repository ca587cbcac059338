import Type, { type Static } from 'typebox';
import { closed } from './error.js';

const numbers = (description: string) => Type.Array(Type.Number(), { description });

const CurvePoints = Type.Object(
  {
    x: numbers('mean step of each point'),
    mean: numbers('mean of the values of each point'),
    min: numbers('lowest value of each point'),
    max: numbers('highest value of each point'),
    n: Type.Array(Type.Integer({ minimum: 1 }), { description: 'number of values of each point' }),
  },
  { ...closed, description: 'a thinned curve as parallel columns; empty if there are no values' },
);

/** The values of a training that are drawn, in the order of the page. */
export const CURVES = {
  loss: 'weighted sum of the loss terms',
  learning_rate: 'learning rate',
  grad_norm: 'norm of the gradient before it was clipped',
  images_per_s: 'pictures and frames per second',
  mfu: "fraction of the device's peak",
  srcc: 'SRCC on the dev split',
  plcc: 'PLCC on the dev split',
} as const;
export type CurveName = keyof typeof CURVES;

export const TrainCurves = Type.Object(
  {
    curves: Type.Object(
      Object.fromEntries(Object.keys(CURVES).map((name) => [name, CurvePoints])) as Record<
        CurveName,
        typeof CurvePoints
      >,
      { ...closed, description: 'a curve for each value, against the step' },
    ),
    last_event_id: Type.Integer({
      minimum: 0,
      description: 'number of the last event in the curves: Last-Event-ID for the events that follow',
    }),
  },
  closed,
);
/** The curves of a training, thinned by the service. */
export interface TrainCurves extends Static<typeof TrainCurves> {}

export const TrainCurvesQuery = Type.Object(
  {
    points: Type.Optional(
      Type.Integer({ minimum: 10, maximum: 2000, description: 'maximum number of points of a curve (default: 300)' }),
    ),
  },
  closed,
);

const Outlier = Type.Object(
  {
    index: Type.Integer({ minimum: 0, description: 'index of the record in its file' }),
    id: Type.String({ description: 'id of the record' }),
    mos: Type.Number({ description: 'mean opinion score' }),
    score: Type.Number({ description: 'predicted score' }),
    error: Type.Number({ description: 'score after the logistic function minus the MOS, in units of the MOS' }),
    picture: Type.Union([Type.String(), Type.Null()], {
      description: 'small JPEG as a data URI; null: not requested, or the picture cannot be read',
    }),
  },
  closed,
);

export const EvaluationPoints = Type.Object(
  {
    datasets: Type.Array(
      Type.Object(
        {
          dataset: Type.String({ description: 'name of the entry in data' }),
          total: Type.Integer({ minimum: 0, description: 'number of items with a score' }),
          score: numbers('predicted scores of the points'),
          mos: numbers('mean opinion scores of the points'),
          ids: Type.Array(Type.String(), { description: 'ids of the records of the points' }),
          problem: Type.Union([Type.String(), Type.Null()], {
            description: 'why there are no points; null: there are',
          }),
        },
        closed,
      ),
      { description: 'a row for each entry of data; at most `points` items of each, evenly selected' },
    ),
  },
  closed,
);
/** Predicted scores and ratings of an evaluation, for a scatter plot. */
export interface EvaluationPoints extends Static<typeof EvaluationPoints> {}

export const EvaluationOutliers = Type.Object(
  {
    datasets: Type.Array(
      Type.Object(
        {
          dataset: Type.String({ description: 'name of the entry in data' }),
          worst: Type.Array(Outlier, { description: 'items whose score is farthest from the MOS, farthest first' }),
        },
        closed,
      ),
      { description: 'a row for each entry of data' },
    ),
  },
  closed,
);
/** The items of an evaluation whose scores are farthest from the ratings. */
export interface EvaluationOutliers extends Static<typeof EvaluationOutliers> {}

export const OutliersQuery = Type.Object(
  { pictures: Type.Optional(Type.Boolean({ description: 'add a small picture to each item (default: false)' })) },
  closed,
);
