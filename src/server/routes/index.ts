import type { Route } from '../route.js';
import { compare, rank } from './compare.js';
import { convertDatasets, listDatasets } from './datasets.js';
import { documentationRoutes } from './documentation.js';
import {
  createEvaluation,
  evaluationEvents,
  listEvaluations,
  resumeEvaluation,
  showEvaluation,
  stopEvaluation,
} from './evaluations.js';
import { healthz, metrics, readyz } from './health.js';
import { cancelJob, createJobs, jobEvents, jobResults, listJobs, showJob } from './jobs.js';
import { listModels, loadModel, unloadModel } from './models.js';
import { score } from './score.js';
import {
  createTrainRun,
  listTrainRuns,
  resumeTrainRun,
  showTrainRun,
  stopTrainRun,
  trainRunEvents,
} from './train-runs.js';

/** Every route of the service, in the order of the documentation. A new one: a file here and its row. */
export const ROUTES: readonly Route[] = [
  score,
  compare,
  rank,
  createJobs,
  listJobs,
  showJob,
  jobResults,
  jobEvents,
  cancelJob,
  createTrainRun,
  listTrainRuns,
  showTrainRun,
  trainRunEvents,
  stopTrainRun,
  resumeTrainRun,
  createEvaluation,
  listEvaluations,
  showEvaluation,
  evaluationEvents,
  stopEvaluation,
  resumeEvaluation,
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
