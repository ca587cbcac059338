import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import Type from 'typebox';
import { problemWith } from '../../../bridge/validate.js';
import { QalignError } from '../../base/errors.js';
import { escape, figure, page } from '../../report/page.js';
import { lines } from '../../report/plots.js';
import { decimal } from '../../report/text.js';
import { calibrate } from '../../scoring/calibration.js';
import {
  fitCalibrationFile,
  reportCalibration,
  type CalibrationFile,
  type CalibrationReport,
  type DatasetPredictions,
} from './combine.js';
import { scoredRows } from './measure.js';
import { writeWhole } from '../../base/files/whole-file.js';
import { readPredictions } from './predictions.js';
import { isFailure, type ScoreOutcome } from '../../api/result.js';

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

/** @throws QalignError CONFIG_NOT_FOUND, CONFIG_INVALID */
export async function loadCalibration(path: string): Promise<CalibrationFile> {
  const text = await readFile(path, 'utf8').catch((cause: Error) => {
    throw new QalignError(
      'CONFIG_NOT_FOUND',
      `The calibration ${path} cannot be read: ${cause.message}; make one with "qalign calibrate".`,
      { cause },
    );
  });
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new QalignError('CONFIG_INVALID', `The calibration ${path} is no JSON: ${(cause as Error).message}.`, {
      cause,
    });
  }
  const problem = problemWith(CalibrationSchema, value);
  if (problem !== undefined)
    throw new QalignError(
      'CONFIG_INVALID',
      `${path} is no calibration at ${problem}; make one with "qalign calibrate".`,
    );
  const file = value as CalibrationFile;
  const { curve } = file;
  if (
    curve.method === 'isotonic' &&
    [curve.x, curve.y].some((values) => values.some((value, i) => i > 0 && value < values[i - 1]!))
  )
    throw new QalignError(
      'CONFIG_INVALID',
      `${path} has steps that fall; the scores and values of an isotonic calibration rise.`,
    );
  if (file.curve.method === 'isotonic' && file.curve.x.length !== file.curve.y.length)
    throw new QalignError(
      'CONFIG_INVALID',
      `${path} has ${file.curve.x.length} scores and ${file.curve.y.length} values; an isotonic calibration has as many of each.`,
    );
  return file;
}

/** What turns outcomes into calibrated ones, and the score_version that they then have. */
export interface Calibrator {
  readonly scoreVersion: string;
  apply(outcome: ScoreOutcome): ScoreOutcome;
}

/** @throws QalignError RESUME_MISMATCH when the calibration was fitted on scores of another version */
export function createCalibrator(file: CalibrationFile, scoreVersion: string): Calibrator {
  if (file.score_version !== scoreVersion) {
    throw new QalignError(
      'RESUME_MISMATCH',
      `The calibration was fitted to ${file.model} with score_version ${file.score_version}, and these scores have ${scoreVersion} (another model, precision, prompt, scale or preprocessing); fit one to them with "qalign calibrate".`,
    );
  }
  const version = createHash('sha256')
    .update(JSON.stringify([scoreVersion, file.curve]))
    .digest('hex')
    .slice(0, 16);
  return {
    scoreVersion: version,
    apply: (outcome) =>
      isFailure(outcome)
        ? outcome
        : { ...outcome, calibrated_score: calibrate(file.curve, outcome.score), score_version: version },
  };
}

export interface CalibrateOptions {
  /** Predictions of validation items; the curve is fitted on them. */
  readonly predictions: string;
  readonly method: 'logistic' | 'isotonic';
  /** Predictions of other items of the same model, to judge the curve by. */
  readonly test?: string | undefined;
  readonly out: string;
  /** A page with the reliability plot. */
  readonly page?: string | undefined;
}

export interface CalibrateResult extends CalibrationReport {
  readonly file: string;
  readonly n: number;
  /** Records of the file that were not predicted, and are in no number. */
  readonly unpredicted: number;
  /** What ece, rmse and bins were measured on. */
  readonly measured_on: string;
  readonly measured_n: number;
  readonly measured_unpredicted: number;
}

/** Fits a curve from scores to the MOS scale, saves it, and says how well it keeps its word. */
export async function calibrateModel(options: CalibrateOptions): Promise<CalibrateResult> {
  const fit = await load(options.predictions);
  const file = fitCalibrationFile(fit, options.method);
  const test = options.test === undefined ? fit : await load(options.test);
  if (test.table.header.score_version !== file.score_version)
    throw new QalignError(
      'RESUME_MISMATCH',
      `${options.test} has score_version ${test.table.header.score_version} and ${options.predictions} has ${file.score_version}; judge a calibration by scores of the same model.`,
    );
  const report = reportCalibration(file, test);
  await writeWhole(options.out, `${JSON.stringify(file, null, 1)}\n`);
  const result = {
    ...report,
    file: options.out,
    n: file.n,
    unpredicted: lacking(fit),
    measured_on: options.test === undefined ? `${fit.name}, the items it was fitted on` : test.name,
    measured_n: test.rows.scores.length,
    measured_unpredicted: lacking(test),
  };
  if (options.page !== undefined) await writeWhole(options.page, calibrationPage(result));
  return result;
}

async function load(path: string): Promise<DatasetPredictions> {
  const table = await readPredictions(path);
  return { name: table.header.dataset, table, rows: scoredRows(table, 'levels') };
}

const lacking = ({ table, rows }: DatasetPredictions): number => table.header.n - rows.scores.length;

/** n, and of how many where some are lacking. */
export const countOf = (n: number, unpredicted: number): string =>
  unpredicted === 0 ? String(n) : `${n} of ${n + unpredicted}`;

function calibrationPage(result: CalibrateResult): string {
  const points = result.bins.map(({ predicted: x, mos: y }) => ({ x, y }));
  const ends = [points[0]!, points.at(-1)!].map(({ x }) => ({ x, y: x }));
  const plot = lines({
    series: [
      { name: 'calibrated scores', points },
      { name: 'perfect', points: ends },
    ],
    xLabel: 'mean calibrated score',
    yLabel: 'mean MOS',
  });
  const text = `${result.method} calibration fitted on ${result.fitted_on} (n = ${countOf(result.n, result.unpredicted)}), measured on ${result.measured_on} (n = ${countOf(result.measured_n, result.measured_unpredicted)}): expected calibration error ${decimal(result.ece)}, RMSE ${decimal(result.rmse)}, in units of the MOS.`;
  return page({
    title: 'Calibration',
    body: `<p>${escape(text)}</p>${figure(plot, 'Bins of equal count by calibrated score.')}`,
  });
}
