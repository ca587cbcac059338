import type { TSchema } from 'typebox';
import { EvaluateRecipe } from '../config/evaluate.js';
import { TrainRecipe } from '../config/train.js';
import { ScoreFailureSchema, ScoreResultSchema } from '../api/result.js';
import { ErrorAnswer } from '../api/error.js';
import { DeletedJob, Job, JobBody, JobMessage } from '../api/jobs.js';
import { ModelRow } from '../api/models.js';
import { ConvertAnswer, ConvertBody, DatasetRow } from '../api/datasets.js';
import { CompareAnswer, ItemSource, RankAnswer, ScoreAnswer, ScoreBody, ScoredInput } from '../api/score.js';
import { Evaluation, TrainRun } from '../api/runs.js';

/** Schemas with a name of their own in the OpenAPI document, for readers and for generated clients. */
export const NAMED_SCHEMAS: Readonly<Record<string, TSchema>> = {
  ErrorAnswer,
  ItemSource,
  ScoreBody,
  ScoreResult: ScoreResultSchema,
  ScoreFailure: ScoreFailureSchema,
  ScoredInput,
  ScoreAnswer,
  CompareAnswer,
  RankAnswer,
  Job,
  DeletedJob,
  JobBody,
  JobMessage,
  ModelRow,
  TrainRecipe,
  TrainRun,
  EvaluateRecipe,
  Evaluation,
  DatasetRow,
  ConvertBody,
  ConvertAnswer,
};
