/** The boundary of src/server/routes: what each path takes and answers; the work lies in score, jobs, runs, recipes. */
import type { Route } from '../route.js';
import type { RunServices } from '../runs/requests.js';
import { compare, rank } from './compare.js';
import { convertDatasets, listDatasets, type DatasetRouteServices } from './datasets.js';
import { documentationRoutes } from './documentation.js';
import { healthz, metrics, readyz, type HealthRouteServices } from './health.js';
import { cancelJob, createJobs, jobEvents, jobResults, listJobs, showJob, type JobRouteServices } from './jobs.js';
import { listModels, loadModel, unloadModel, type ModelRouteServices } from './models.js';
import { score, type ScoreRouteServices } from './score.js';
import { evaluationRoutes, trainRunRoutes } from './runs.js';

/** All that the handlers ask for. A handler that asks for what is not here does not compile as a row of ROUTES. */
export type Services = ScoreRouteServices &
  JobRouteServices &
  RunServices &
  DatasetRouteServices &
  ModelRouteServices &
  HealthRouteServices;

/** Every route of the service, in the order of the documentation. A new one: a file here and its row. */
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
  ...evaluationRoutes,
  listDatasets,
  convertDatasets,
  listModels,
  loadModel,
  unloadModel,
  healthz,
  readyz,
  metrics,
  ...documentationRoutes(() => ROUTES),
];
