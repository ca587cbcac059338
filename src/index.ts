/** The public API of qalign: named exports only. */
/// <reference types="node" preserve="true" />
import './base/require-node.js';

export { QalignError } from './base/errors.js';
export type { ErrorCode, ErrorFamily } from './base/errors.js';
export { createLogger, silentLogger } from './base/logger.js';
export type { LogFields, Logger, LogLevel } from './base/logger.js';
export { prepareFrame, prepareImage } from './media/image.js';
export type { PreparedImage, PrepareImageOptions } from './media/image.js';
export type { BytePath, MediaIdentity, MediaInput } from './media/media-input.js';
export { createPreparePool } from './media/prepare-pool.js';
export type { PreparePool, PreparePoolOptions } from './media/prepare-pool.js';
export { DEFAULT_LIMITS } from './media/limits.js';
export type { MediaLimits } from './media/limits.js';
export { joinRun, planRecipe, resumeRun, train } from './recipes/train/train.js';
export type { RecipePlan, TrainOptions, TrainResult } from './recipes/train/train.js';
export type { MemoryEstimate } from './recipes/train/memory-estimate.js';
export type { TimeEstimate } from './recipes/train/time-estimate.js';
export { trainSeries } from './recipes/train/loss-series.js';
export type { TrainSeries, TrainSeriesOptions, TrainSeriesRow } from './recipes/train/loss-series.js';
export type { EvaluateRecipeInput, TrainRecipeInput } from './config/recipe-input.generated.js';
export type { TrainRecipe } from './config/train.js';
export type { TrainEvent } from '../bridge/protocol/train.js';
export { convertDataset } from './recipes/data/convert.js';
export type { ConvertOptions, ConvertResult, DatasetManifest } from './recipes/data/convert.js';
export type { OwnData } from './datasets/own-data.js';
export { checkDataset } from './recipes/data/check.js';
export type { CheckOptions, CheckResult } from './recipes/data/check.js';
export type { LeakKind } from './datasets/leaks.js';
export { reportDataset, writeReport } from './recipes/data/report.js';
export type { ReportOptions, ReportResult } from './recipes/data/report.js';
export { reproduce } from './recipes/reproduce/index.js';
export type { ReproducedTable, ReproduceOptions } from './recipes/reproduce/table.js';
export { listDatasets } from './recipes/data/list.js';
export type { DatasetListing } from './recipes/data/list.js';
export { sampleRecords, splitRecords } from './recipes/data/split.js';
export type { SampleOptions, SampleResult, SplitOptions, SplitResult } from './recipes/data/split.js';
export type { DatasetRecord } from '../bridge/protocol/record.js';
export { createScorer } from './recipes/score/create-scorer.js';
export type {
  OneTask,
  Scorer,
  ScorerOptions,
  ScoreManyOptions,
  ScoreInput,
  ScoreOptions,
  ScoreSource,
} from './recipes/score/scorer.js';
export { scoreShards } from './recipes/shards/score-shards.js';
export type { ScoreShardsOptions, ShardsSummary } from './recipes/shards/score-shards.js';
export { expandShards } from './recipes/shards/expand.js';
export type { ExpandShardsOptions } from './recipes/shards/expand.js';
export type {
  DoneEvent,
  FailedEvent,
  ProgressEvent,
  ReadyEvent,
  ShardError,
  ShardEvent,
  ShardLine,
  WorkerErrorEvent,
} from './recipes/shards/events.js';
export type { ShardFormat } from './recipes/shards/names.js';
export type { BatchGroup, BatchPlace } from './engine/batch-group.js';
export { isFailure, ScoreFailureSchema, ScoreResultSchema } from './api/result.js';
export type { ScoreFailure, ScoreOutcome, ScoreResult } from './api/result.js';
export { LEVELS, LEVEL_VALUES, SCALES } from './scoring/levels.js';
export type { Level, Scale } from './scoring/levels.js';
export type { Task } from './prompts/subject.js';
export type { Lane } from './base/lane.js';
export { scoreLogits } from './scoring/score.js';
export type { LevelScore } from './scoring/score.js';
export { expandSources } from './media/sources.js';
export type { ExpandOptions, MediaSource, PassedOver, SourceName } from './media/sources.js';
export { sampleVideo } from './media/video/video.js';
export type { SampleVideoOptions, VideoFrame, VideoSample } from './media/video/video.js';
export { computeMetrics } from './scoring/statistics/metrics.js';
export type { Evaluated, Interval, Metrics, MetricsOptions } from './scoring/statistics/metrics.js';
export { compareModels } from './scoring/statistics/significance.js';
export type { Comparison, Difference } from './scoring/statistics/significance.js';
export { meanCorrelation, plcc, rmse, srcc } from './scoring/statistics/correlation.js';
export { krcc } from './scoring/statistics/kendall.js';
export { fitLogistic, logisticAt } from './scoring/statistics/logistic.js';
export type { Logistic, LogisticFit } from './scoring/statistics/logistic.js';
export { evaluate } from './recipes/evaluate/evaluate.js';
export type { EvaluateEvent, EvaluateOptions } from './recipes/evaluate/evaluate.js';
export type { DatasetResult, EvaluateResult } from './recipes/evaluate/result.js';
export { comparePredictions, evaluatePredictions } from './recipes/evaluate/from-files.js';
export type { FileEvaluation, FileOptions } from './recipes/evaluate/from-files.js';
export type { EvaluateRecipe } from './config/evaluate.js';
export { calibrateModel } from './recipes/evaluate/calibrate.js';
export type { CalibrateOptions, CalibrateResult } from './recipes/evaluate/calibrate.js';
export { createCalibrator, loadCalibration } from './recipes/evaluate/calibration-file.js';
export type { CalibrationFile, Calibrator } from './recipes/evaluate/calibration-file.js';
export { generateAnswers } from './recipes/score/generate.js';
export type { GeneratedAnswer, GenerateOptions } from './recipes/score/generate.js';
export { openPython } from './engine/python/open.js';
export type { OpenPythonOptions, Python } from './engine/python/open.js';
export type { PythonCommand, PythonExtra } from './engine/python/environment.js';
