import Type from 'typebox';
import { closed } from '../../api/error.js';
import {
  Evaluation,
  EvaluationList,
  EvaluationParams,
  RunListQuery,
  TrainRun,
  TrainRunList,
  TrainRunParams,
} from '../../api/runs.js';
import { ViewItem, ViewRows, ViewRowsQuery, ViewSummary } from '../../api/view.js';
import type { MediaInput } from '../../media/media-input.js';
import type { Results } from '../../recipes/view/results.js';
import { EVENT, streamEvents } from '../http/sse.js';
import { defineRoute, type Route } from '../route.js';
import { pageFile, sendPage } from '../routes/page.js';
import { evaluationFileRoutes, trainCurves, type StoredRunServices } from '../routes/stored-runs.js';
import type { StoredFolders } from './stored-folders.js';

/** Everything that the routes of "qalign view" read. */
export interface ViewServices extends StoredRunServices {
  /** Shown first by the page. */
  readonly kind: 'results' | 'run' | 'evaluation';
  readonly results: Results | undefined;
  readonly folders: StoredFolders;
  readonly picture: (media: MediaInput, side: number, signal: AbortSignal) => Promise<Buffer>;
  readonly ending: AbortSignal;
  readonly config: { readonly page: boolean };
}

const route = { method: 'get', scope: 'any', tag: 'view', examples: [] } as const;
const RowParams = Type.Object({ n: Type.String({ pattern: '^[1-9]\\d{0,14}$' }) }, closed);

const start = defineRoute({
  ...route,
  path: '/',
  summary: 'the page, which shows the results, the run or the evaluation',
  answers: { 200: { description: 'a page', types: ['text/html'], schema: Type.String() } },
  async handle(call, { kind }: ViewServices) {
    sendPage(call, kind);
  },
});

const resultRoutes: readonly Route<ViewServices & { readonly results: Results }>[] = [
  defineRoute({
    ...route,
    path: '/v1/view',
    summary: 'figures of the results file',
    answers: { 200: { description: 'the figures', schema: ViewSummary } },
    handle: async (call, { results }: { readonly results: Results }) => call.answer(200, results.summary),
  }),
  defineRoute({
    ...route,
    path: '/v1/view/rows',
    summary: 'a part of the rows, sorted and filtered',
    query: ViewRowsQuery,
    answers: { 200: { description: 'the rows', schema: ViewRows } },
    handle: async (call, { results }: { readonly results: Results }) => call.answer(200, results.rows(call.query)),
  }),
  defineRoute({
    ...route,
    path: '/v1/view/rows/{n}',
    summary: 'a row with all its fields',
    params: RowParams,
    answers: { 200: { description: 'the row', schema: ViewItem } },
    errors: ['RESULTS_NOT_FOUND', 'RESULTS_INVALID'],
    handle: async (call, { results }: { readonly results: Results }) =>
      call.answer(200, await results.item(Number(call.params.n))),
  }),
  defineRoute({
    ...route,
    path: '/v1/view/rows/{n}/picture',
    summary: 'the picture of a row as a JPEG, or the first frame of a clip',
    params: RowParams,
    query: Type.Object({ side: Type.Optional(Type.Integer({ minimum: 16, maximum: 2048 })) }, closed),
    answers: { 200: { description: 'a picture', types: ['image/jpeg'], schema: Type.String() } },
    errors: ['RESULTS_NOT_FOUND', 'MEDIA_NOT_FOUND'],
    async handle(call, { results, picture }: ViewServices & { readonly results: Results }) {
      const media = results.media(Number(call.params.n));
      const jpeg = await picture(media, call.query.side ?? 128, call.gone);
      call.res.set('Cache-Control', 'private, max-age=600').type('image/jpeg').send(jpeg);
    },
  }),
];

const runRoutes: readonly Route<ViewServices>[] = [
  defineRoute({
    ...route,
    path: '/v1/train_runs',
    summary: 'the runs',
    query: RunListQuery,
    answers: { 200: { description: 'the runs', schema: TrainRunList } },
    handle: async (call, { folders }: ViewServices) => call.answer(200, { train_runs: await folders.trainings() }),
  }),
  defineRoute({
    ...route,
    path: '/v1/train_runs/{id}',
    summary: 'state, progress and recipe of a run',
    params: TrainRunParams,
    answers: { 200: { description: 'the run', schema: TrainRun } },
    handle: async (call, { folders }: ViewServices) => call.answer(200, await folders.training(call.params.id)),
  }),
  defineRoute({
    ...route,
    path: '/v1/train_runs/{id}/events',
    summary: 'the events of a run as server-sent events',
    params: TrainRunParams,
    answers: { 200: { description: 'a stream', types: ['text/event-stream'], schema: EVENT } },
    async handle(call, { folders, stored, ending }: ViewServices) {
      const { id } = call.params;
      let active = await folders.isActive(id);
      const poll = setInterval(() => void folders.isActive(id).then((now) => (active = now)), 1000);
      const file = stored.eventsFile(call);
      await streamEvents(call, { file, ended: () => !active, ending }).finally(() => clearInterval(poll));
    },
  }),
  trainCurves,
];

const evaluationRoutes: readonly Route<ViewServices>[] = [
  defineRoute({
    ...route,
    path: '/v1/evaluations',
    summary: 'the evaluations',
    query: RunListQuery,
    answers: { 200: { description: 'the evaluations', schema: EvaluationList } },
    handle: async (call, { folders }: ViewServices) => call.answer(200, { evaluations: await folders.evaluations() }),
  }),
  defineRoute({
    ...route,
    path: '/v1/evaluations/{id}',
    summary: 'an evaluation and its result',
    params: EvaluationParams,
    answers: { 200: { description: 'the evaluation', schema: Evaluation } },
    handle: async (call, { folders }: ViewServices) => call.answer(200, await folders.evaluation(call.params.id)),
  }),
  ...evaluationFileRoutes,
];

/** The routes for one kind. There are no others, so that nothing else of the machine can be read. */
export const viewRoutes = (kind: ViewServices['kind']): readonly Route<ViewServices>[] => [
  start,
  pageFile,
  ...({ results: resultRoutes, run: runRoutes, evaluation: evaluationRoutes }[kind] as readonly Route<ViewServices>[]),
];
