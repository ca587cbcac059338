/**
 * The boundary of src/server/routes: what each path accepts and returns. The work is in score, jobs, runs and recipes.
 */
import type { Route } from '../route.js';
import type { RunServices } from '../runs/requests.js';
import { compare, rank } from './compare.js';
import { convertDatasets, listDatasets, type DatasetRouteServices } from './datasets.js';
import { documentationRoutes } from './documentation.js';
import { healthz, metrics, readyz, type HealthRouteServices } from './health.js';
import { cancelJob, createJobs, jobEvents, jobResults, listJobs, showJob, type JobRouteServices } from './jobs.js';
import { listModels, loadModel, unloadModel, type ModelRouteServices } from './models.js';
import { pageRoutes, type PageRouteServices } from './page.js';
import { score, type ScoreRouteServices } from './score.js';
import { evaluationRoutes, trainRunRoutes } from './runs.js';
import { evaluationFileRoutes, trainCurves, type StoredRunServices } from './stored-runs.js';

/** All services that handlers can use. A handler that needs another one does not compile in ROUTES. */
export type Services = ScoreRouteServices &
  JobRouteServices &
  RunServices &
  StoredRunServices &
  DatasetRouteServices &
  ModelRouteServices &
  HealthRouteServices &
  PageRouteServices;

/** All routes of the service, in the order of the documentation. A new route is a file here and a row. */
export const ROUTES: readonly Route<Services>[] = [
  score,
  compare,
  rank,
  createJobs,
  listJobs,
  showJob,
  jobResults,
  jobEvents,
  cancelJob,
  ...trainRunRoutes,
  trainCurves,
  ...evaluationRoutes,
  ...evaluationFileRoutes,
  listDatasets,
  convertDatasets,
  listModels,
  loadModel,
  unloadModel,
  healthz,
  readyz,
  metrics,
  ...pageRoutes,
  ...documentationRoutes(() => ROUTES),
];
