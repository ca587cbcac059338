import type { EvaluateRecipe } from '../../config/evaluate.js';
import type { DeepReadonly } from '../../config/load.js';
import type { Provenance } from '../../base/provenance.js';
import type { EnsembleReport, DatasetPredictions } from './combine.js';
import type { CalibrationReport } from './calibration-file.js';
import type { DatasetMeasures } from './measure.js';
import type { PublishedFigure } from './published-figures.js';
import type { PredictionHeader } from './predictions.js';
import type { RecordSet } from './records.js';

/** Results of one data set. Part of evaluation.json. */
export interface DatasetResult extends DatasetMeasures {
  /** Path of the predictions file. */
  readonly predictions: string;
  /** The published figure from the recipe, or the recorded one that the recipe names. */
  readonly paper: PublishedFigure | null;
  /** Errors of the calibrated scores; null without a calibration. */
  readonly calibration: CalibrationReport | null;
}

/** The content of evaluation.json. */
export interface EvaluateResult {
  /** Name of the evaluation. */
  readonly name: string;
  /** Folder of its files. */
  readonly folder: string;
  /** The model of the predictions. */
  readonly model: PredictionHeader['model'];
  /** The prompt of the predictions. */
  readonly prompt: PredictionHeader['prompt'];
  /** Hash of everything that determines a score. */
  readonly score_version: string;
  /** How scores are computed from the logits. */
  readonly rule: 'levels' | 'two_words';
  /** Weights of the ensemble; null without one. */
  readonly ensemble: EnsembleReport | null;
  /** Figures of each entry of `data`. */
  readonly datasets: readonly DatasetResult[];
  /** Versions, time and machine of the evaluation. */
  readonly provenance: Provenance;
  /** The resolved recipe. */
  readonly recipe: DeepReadonly<EvaluateRecipe>;
}

/** One data set of an evaluation with its predictions and records, for the plots and pictures of the page. */
export interface EvaluatedDataset {
  readonly result: DatasetResult;
  readonly predictions: DatasetPredictions;
  readonly set: RecordSet;
}
