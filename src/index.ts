/** The public API of qalign: named exports only. */
export { QalignError } from './errors.js';
export type { ErrorCode, ErrorFamily } from './errors.js';
export { createLogger, silentLogger } from './logger.js';
export type { Logger, LogLevel } from './logger.js';
export { prepareFrame, prepareImage } from './media/image.js';
export type { MediaInput, PreparedImage, PrepareImageOptions } from './media/image.js';
export { createPreparePool } from './media/prepare-pool.js';
export type { PreparePool, PreparePoolOptions } from './media/prepare-pool.js';
export { DEFAULT_LIMITS } from './media/limits.js';
export type { MediaLimits } from './media/limits.js';
export { joinRun, planRecipe, resumeRun, train } from './recipes/train.js';
export type { TrainOptions, TrainResult } from './recipes/train.js';
export { trainSeries } from './recipes/train-series.js';
export type { TrainSeries, TrainSeriesOptions, TrainSeriesRow } from './recipes/train-series.js';
export type { TrainRecipe } from './config/train.js';
export type { TrainEvent } from '../bridge/protocol/train.js';
export { convertDataset } from './recipes/convert-dataset.js';
export type { ConvertOptions, ConvertResult, DatasetManifest } from './recipes/convert-dataset.js';
export { checkDataset } from './recipes/check-dataset.js';
export type { CheckOptions, CheckResult } from './recipes/check-dataset.js';
export { reportDataset, writeReport } from './recipes/report-dataset.js';
export type { ReportOptions, ReportResult } from './recipes/report-dataset.js';
export { reproduce } from './recipes/reproduce.js';
export type { ReproducedTable, ReproduceOptions } from './recipes/reproduce.js';
export { listDatasets } from './recipes/list-datasets.js';
export type { DatasetListing } from './recipes/list-datasets.js';
export { sampleRecords, splitRecords } from './recipes/split-records.js';
export type { SampleOptions, SampleResult, SplitOptions, SplitResult } from './recipes/split-records.js';
export type { DatasetRecord } from '../bridge/protocol/record.js';
export { createScorer } from './recipes/score-parts.js';
export type {
  Scorer,
  ScorerOptions,
  ScoreManyOptions,
  ScoreInput,
  ScoreOptions,
  ScoreSource,
} from './recipes/score.js';
export { isFailure, ScoreFailureSchema, ScoreResultSchema } from './recipes/result.js';
export type { ScoreFailure, ScoreOutcome, ScoreResult } from './recipes/result.js';
export { LEVELS, LEVEL_VALUES, SCALES } from './scoring/levels.js';
export type { Level, Scale } from './scoring/levels.js';
export { scoreLogits } from './scoring/score.js';
export type { LevelScore } from './scoring/score.js';
export { expandSources } from './media/sources.js';
export type { ExpandOptions, MediaSource } from './media/sources.js';
export { sampleVideo } from './media/video.js';
export type { SampleVideoOptions, VideoFrame, VideoSample } from './media/video.js';
export { computeMetrics } from './scoring/metrics.js';
export type { Evaluated, Interval, Metrics, MetricsOptions } from './scoring/metrics.js';
export { compareModels } from './scoring/significance.js';
export type { Comparison, Difference } from './scoring/significance.js';
export { meanCorrelation, plcc, rmse, srcc } from './scoring/correlation.js';
export { krcc } from './scoring/kendall.js';
export { fitLogistic, logisticAt } from './scoring/logistic.js';
export type { Logistic, LogisticFit } from './scoring/logistic.js';
export { evaluate } from './recipes/evaluate/evaluate.js';
export type { DatasetResult, EvaluateEvent, EvaluateOptions, EvaluateResult } from './recipes/evaluate/evaluate.js';
export { comparePredictions, evaluatePredictions } from './recipes/evaluate/from-files.js';
export type { EvaluateRecipe } from './config/evaluate.js';
export { calibrateModel, createCalibrator, loadCalibration } from './recipes/calibrate.js';
export type { CalibrateOptions, CalibrateResult, Calibrator } from './recipes/calibrate.js';
export { generateAnswers } from './recipes/generate.js';
export type { GeneratedAnswer, GenerateOptions } from './recipes/generate.js';
export { openPython } from './engine/open-python.js';
export type { OpenPythonOptions, Python } from './engine/open-python.js';
