import type { TSchema } from 'typebox';
import { EvaluateRecipe } from '../../config/evaluate.js';
import { TrainRecipe } from '../../config/train.js';
import { ScoreFailureSchema, ScoreResultSchema } from '../../recipes/result.js';
import { ErrorAnswer } from './error.js';
import { Job, JobBody } from './jobs.js';
import { ModelRow } from './models.js';
import { ConvertAnswer, ConvertBody, DatasetRow } from './datasets.js';
import { CompareAnswer, ItemSource, RankAnswer, ScoreAnswer, ScoreBody, ScoredInput } from './score.js';
import { Evaluation, TrainRun } from './work.js';

/** What stands under its name in the OpenAPI document, for readers and for generated clients. */
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
  JobBody,
  ModelRow,
  TrainRecipe,
  TrainRun,
  EvaluateRecipe,
  Evaluation,
  DatasetRow,
  ConvertBody,
  ConvertAnswer,
};
