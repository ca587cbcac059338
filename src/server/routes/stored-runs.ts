import type { TObject } from 'typebox';
import Type from 'typebox';
import {
  EvaluationOutliers,
  EvaluationPoints,
  OutliersQuery,
  TrainCurves,
  TrainCurvesQuery,
} from '../../api/curves.js';
import { EXAMPLE_EVALUATION, EXAMPLE_TRAIN_RUN } from '../../api/examples.js';
import { EvaluationParams, TrainRunParams } from '../../api/runs.js';
import { evaluationOutliers, evaluationPoints, type StoredEvaluation } from '../../recipes/evaluate/stored.js';
import type { Caller } from '../http/caller.js';
import { defineRoute, type Route } from '../route.js';
import { sendReport } from '../runs/report-file.js';
import type { StoredRuns } from '../runs/stored.js';

/** Dependencies of the routes that show the files of trainings and evaluations. */
export interface StoredRunServices {
  readonly stored: StoredRuns;
}

/** Points of a curve where the caller does not name a number. */
const POINTS = 300;
const unknown = (id: string): Route['examples'] => [{ name: 'an unknown id', status: 404, params: { id } }];

export const trainCurves = defineRoute({
  method: 'get',
  path: '/v1/train_runs/{id}/curves',
  scope: 'train',
  tag: 'training',
  summary: 'loss, learning rate, speed and SRCC of a run, thinned for plots',
  description:
    'Neighbouring steps share a point with their minimum, mean and maximum, so that a run of a million steps is a few kilobytes. Follow the events after last_event_id to continue the curves.',
  params: TrainRunParams,
  query: TrainCurvesQuery,
  answers: { 200: { description: 'the curves so far', schema: TrainCurves } },
  errors: ['RUN_NOT_FOUND'],
  examples: unknown(EXAMPLE_TRAIN_RUN),
  async handle(call, { stored }: StoredRunServices) {
    call.answer(200, await stored.curves.read(stored.eventsFile(call), call.query.points ?? POINTS));
  },
});

type EvaluationCall = Caller<{ id: string }, { pictures?: boolean }>;

const ofEvaluation = (
  end: string,
  words: Pick<Route, 'summary' | 'answers'> & { readonly description?: string; readonly query?: TObject },
  send: (call: EvaluationCall, evaluation: StoredEvaluation, stored: StoredRuns) => Promise<void>,
): Route<StoredRunServices> =>
  defineRoute({
    ...words,
    method: 'get',
    path: `/v1/evaluations/{id}/${end}`,
    scope: 'train',
    tag: 'evaluation',
    params: EvaluationParams,
    errors: ['RUN_NOT_FOUND'],
    examples: unknown(EXAMPLE_EVALUATION),
    async handle(call: EvaluationCall, { stored }: StoredRunServices) {
      await send(call, await stored.evaluation(call), stored);
    },
  });

export const evaluationFileRoutes: readonly Route<StoredRunServices>[] = [
  ofEvaluation(
    'points',
    {
      summary: 'predicted scores and ratings of an evaluation, thinned for a scatter plot',
      answers: { 200: { description: 'the points', schema: EvaluationPoints } },
    },
    async (call, evaluation, { redact, redactError }) =>
      call.answer(200, redact(await evaluationPoints(evaluation).catch(redactError))),
  ),
  ofEvaluation(
    'outliers',
    {
      summary: 'the items of an evaluation whose scores are farthest from the ratings',
      description: 'A picture is left out if its record, its file or its place below the root has changed.',
      query: OutliersQuery,
      answers: { 200: { description: 'the items', schema: EvaluationOutliers } },
    },
    async (call, evaluation, { redact, redactError }) => {
      const found = evaluationOutliers(evaluation, call.query.pictures === true);
      call.answer(200, redact(await found.catch(redactError)));
    },
  ),
  ofEvaluation(
    'report',
    {
      summary: 'the report of an evaluation as one HTML file',
      answers: { 200: { description: 'the file', types: ['text/html'], schema: Type.String() } },
    },
    (call, { folder }) => sendReport(call, folder),
  ),
];
