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
  readonly predictions: string;
  /** The published figure from the recipe, or the recorded one that the recipe names. */
  readonly paper: PublishedFigure | null;
  readonly calibration: CalibrationReport | null;
}

/** The content of evaluation.json. */
export interface EvaluateResult {
  readonly name: string;
  readonly folder: string;
  readonly model: PredictionHeader['model'];
  readonly prompt: PredictionHeader['prompt'];
  readonly score_version: string;
  readonly rule: 'levels' | 'two_words';
  readonly ensemble: EnsembleReport | null;
  readonly datasets: readonly DatasetResult[];
  readonly provenance: Provenance;
  readonly recipe: DeepReadonly<EvaluateRecipe>;
}

/** One data set of an evaluation with its predictions and records, for the plots and pictures of the page. */
export interface EvaluatedDataset {
  readonly result: DatasetResult;
  readonly predictions: DatasetPredictions;
  readonly set: RecordSet;
}
