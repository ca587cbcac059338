import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import Type from 'typebox';
import { problemWith } from '../../../bridge/validate.js';
import { isFailure, type ScoreOutcome } from '../../api/result.js';
import { QalignError } from '../../base/errors.js';
import {
  calibrate,
  fitCalibration,
  reliability,
  type CalibrationCurve,
  type ReliabilityBin,
} from '../../scoring/calibration.js';
import { rowVersion } from '../score/row-version.js';
import { asEvaluationError, type DatasetPredictions } from './combine.js';
import { reasonOf } from '../../base/files/reason.js';

const closed = { additionalProperties: false };
const numbers = Type.Array(Type.Number(), { minItems: 1 });
const CalibrationSchema = Type.Object(
  {
    format: Type.Literal('qalign-calibration/1'),
    dataset: Type.String(),
    model: Type.String(),
    score_version: Type.String(),
    n: Type.Integer({ minimum: 1 }),
    curve: Type.Union([
      Type.Object(
        {
          method: Type.Literal('logistic'),
          logistic: Type.Object(
            {
              beta1: Type.Number(),
              beta2: Type.Number(),
              beta3: Type.Number(),
              beta4: Type.Number({ exclusiveMinimum: 0 }),
            },
            closed,
          ),
        },
        closed,
      ),
      Type.Object({ method: Type.Literal('isotonic'), x: numbers, y: numbers }, closed),
    ]),
  },
  closed,
);

/** Content of a calibration file: the curve, and the data set, model and score_version it was fitted on. */
export interface CalibrationFile {
  /** Kind and version of the file. */
  readonly format: 'qalign-calibration/1';
  /** Name of the data set whose scale it maps to. */
  readonly dataset: string;
  /** Name, directory or hub id of the model. */
  readonly model: string;
  /** The only version of scores that it fits. */
  readonly score_version: string;
  /** Number of predictions that it was fitted on. */
  readonly n: number;
  /** The curve, with the parameters of its method. */
  readonly curve: CalibrationCurve;
}

export interface CalibrationReport {
  /** How the curve was fitted. */
  readonly method: 'logistic' | 'isotonic';
  /** Name of the predictions that it was fitted on. */
  readonly fitted_on: string;
  /** Expected calibration error of the calibrated scores, in units of the MOS. */
  readonly ece: number;
  /** Root mean square error of the calibrated scores, in units of the MOS. */
  readonly rmse: number;
  /** Mean calibrated score and mean MOS of groups of items, for the reliability plot. */
  readonly bins: readonly ReliabilityBin[];
}

/**
 * Fits a curve to the predictions.
 * @param of kind of scores. Only `levels` keeps the plain score_version, which `score --calibration` requires
 * @throws QalignError EVALUATION_FAILED if the curve cannot be fitted to these items
 */
export function fitCalibrationFile(
  { name, table, rows }: DatasetPredictions,
  method: 'logistic' | 'isotonic',
  of: 'levels' | 'two_words' | 'ensemble' = 'levels',
): CalibrationFile {
  const { header } = table;
  const score_version = of === 'levels' ? header.score_version : `${header.score_version}-${of}`;
  return {
    format: 'qalign-calibration/1',
    dataset: name,
    model: header.model.id,
    score_version,
    n: rows.scores.length,
    curve: asEvaluationError(() => fitCalibration(rows.scores, rows.mos, method))(),
  };
}

export function reportCalibration(file: CalibrationFile, { rows }: DatasetPredictions): CalibrationReport {
  const predicted = rows.scores.map((score) => calibrate(file.curve, score));
  const squares = predicted.reduce((sum, value, i) => sum + (value - rows.mos[i]!) ** 2, 0);
  return {
    method: file.curve.method,
    fitted_on: file.dataset,
    ...reliability(predicted, rows.mos),
    rmse: Math.sqrt(squares / predicted.length),
  };
}

/**
 * Reads a file that `calibrateModel` wrote. @throws QalignError CONFIG_NOT_FOUND, CONFIG_INVALID
 * @example
 * ```ts
 * const calibration = await loadCalibration('c.json');
 * ```
 */
export async function loadCalibration(path: string): Promise<CalibrationFile> {
  const text = await readFile(path, 'utf8').catch((cause: Error) => {
    throw new QalignError(
      'CONFIG_NOT_FOUND',
      `The calibration ${path} cannot be read: ${reasonOf(cause)}; create one with "qalign calibrate".`,
      { cause },
    );
  });
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new QalignError(
      'CONFIG_INVALID',
      `The calibration ${path} is not valid JSON: ${(cause as Error).message}; create one with "qalign calibrate".`,
      { cause },
    );
  }
  const problem = problemWith(CalibrationSchema, value);
  if (problem !== undefined)
    throw new QalignError(
      'CONFIG_INVALID',
      `${path} is not a calibration (${problem}); create one with "qalign calibrate".`,
    );
  const file = value as CalibrationFile;
  const { curve } = file;
  if (
    curve.method === 'isotonic' &&
    [curve.x, curve.y].some((values) => values.some((value, i) => i > 0 && value < values[i - 1]!))
  )
    throw new QalignError(
      'CONFIG_INVALID',
      `${path} is not valid: the x and y values of an isotonic calibration must not fall; create one with "qalign calibrate".`,
    );
  if (file.curve.method === 'isotonic' && file.curve.x.length !== file.curve.y.length)
    throw new QalignError(
      'CONFIG_INVALID',
      `${path} has ${file.curve.x.length} x values and ${file.curve.y.length} y values, but their numbers must be equal; create one with "qalign calibrate".`,
    );
  return file;
}

/** Adds calibrated scores to outcomes. */
export interface Calibrator {
  /** Version of the calibrated rows; see `rowVersion`. */
  readonly rowVersion: string;
  /** The outcome with `calibrated_score` and `calibration`; a failure is returned unchanged. */
  apply(outcome: ScoreOutcome): ScoreOutcome;
}

/**
 * Creates a function that adds `calibrated_score` and `calibration` to results.
 * @throws QalignError RESUME_MISMATCH if the calibration was fitted on scores of another score_version
 * @example
 * ```ts
 * await using scorer = await createScorer();
 * const calibrator = createCalibrator(await loadCalibration('c.json'), scorer.scoreVersion);
 * console.log(calibrator.apply(await scorer.score('photo.jpg', { task: 'quality' })));
 * ```
 */
export function createCalibrator(file: CalibrationFile, scoreVersion: string): Calibrator {
  if (file.score_version !== scoreVersion) {
    throw new QalignError(
      'RESUME_MISMATCH',
      `The calibration was fitted on ${file.model} with score_version ${file.score_version}, but this run has ${scoreVersion}. The model, precision, prompt, scale or preprocessing differs; create a matching calibration with "qalign calibrate".`,
    );
  }
  const calibration = createHash('sha256').update(JSON.stringify(file.curve)).digest('hex').slice(0, 16);
  return {
    rowVersion: rowVersion(scoreVersion, calibration),
    apply: (outcome) =>
      isFailure(outcome)
        ? outcome
        : { ...outcome, calibrated_score: calibrate(file.curve, outcome.score), calibration },
  };
}
