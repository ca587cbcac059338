import { QalignError } from '../../base/errors.js';
import { provenance } from '../../base/provenance.js';
import { figure } from '../../report/figure.js';
import { escape } from '../../report/escape.js';
import { page } from '../../report/page.js';
import { lines } from '../../report/plots.js';
import { decimal } from '../../report/text.js';
import { fitCalibrationFile, reportCalibration, type CalibrationReport } from './calibration-file.js';
import type { DatasetPredictions } from './combine.js';
import { scoredRows } from './measure.js';
import { writeWhole } from '../../base/files/whole-file.js';
import { readPredictions } from './predictions.js';

/** Options of `calibrateModel`. */
export interface CalibrateOptions {
  /** Predictions file of validation items, on which the curve is fitted. */
  readonly predictions: string;
  /** `logistic`: four parameters; `isotonic`: isotonic regression. */
  readonly method: 'logistic' | 'isotonic';
  /**
   * Predictions file of other items of the same model, on which the curve is measured. Default: the items it was fitted
   * on.
   */
  readonly test?: string | undefined;
  /** Path of the calibration file. */
  readonly out: string;
  /**
   * Path of an HTML page with the reliability plot.
   * @default none
   */
  readonly page?: string | undefined;
  /**
   * Command line that is printed on the page.
   * @default none
   */
  readonly command?: string | undefined;
}

/** The calibration and its error on the measured items. */
export interface CalibrateResult extends CalibrationReport {
  /** The calibration file that was written. */
  readonly file: string;
  /** Predictions that the curve was fitted on. */
  readonly n: number;
  /** Number of records without a prediction. They are not counted in any other number. */
  readonly unpredicted: number;
  /** Data set on which `ece`, `rmse` and `bins` were measured. */
  readonly measured_on: string;
  /** Predictions that ece, rmse and bins were measured on. */
  readonly measured_n: number;
  /** Records of that file without a prediction. */
  readonly measured_unpredicted: number;
}

/**
 * Fits a curve from scores to the MOS scale, saves it and measures its calibration error.
 * @throws QalignError RESUME_MISMATCH if the test predictions have another score_version; PREDICTIONS_DAMAGED,
 * EVALUATION_FAILED, OUTPUT_UNWRITABLE
 * @example
 * ```ts
 * const { file, ece } = await calibrateModel({ predictions: 'dev.jsonl', method: 'logistic', out: 'c.json' });
 * console.log(file, ece);
 * ```
 */
export async function calibrateModel(options: CalibrateOptions): Promise<CalibrateResult> {
  const fit = await load(options.predictions);
  const file = fitCalibrationFile(fit, options.method);
  const test = options.test === undefined ? fit : await load(options.test);
  if (test.table.header.score_version !== file.score_version)
    throw new QalignError(
      'RESUME_MISMATCH',
      `${options.test} has score_version ${test.table.header.score_version} and ${options.predictions} has ${file.score_version}; test the calibration on predictions of the same model and settings.`,
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
  if (options.page !== undefined) await writeWhole(options.page, await calibrationPage(result, options.command));
  return result;
}

async function load(path: string): Promise<DatasetPredictions> {
  const table = await readPredictions(path);
  return { name: table.header.dataset, table, rows: scoredRows(table, 'levels') };
}

const lacking = ({ table, rows }: DatasetPredictions): number => table.header.n - rows.scores.length;

/** Formats n as text, with the total if some records have no prediction. */
export const countOf = (n: number, unpredicted: number): string =>
  unpredicted === 0 ? String(n) : `${n} of ${n + unpredicted}`;

async function calibrationPage(result: CalibrateResult, command: string | undefined): Promise<string> {
  const points = result.bins.map(({ predicted: x, mos: y }) => ({ x, y }));
  const ends = [points[0]!, points.at(-1)!].map(({ x }) => ({ x, y: x }));
  const plot = lines({
    series: [
      { name: 'calibrated scores', points },
      { name: 'perfect', points: ends },
    ],
    xLabel: 'mean calibrated score, in units of the MOS',
    yLabel: 'mean MOS',
  });
  const text = `${result.method} calibration fitted on ${result.fitted_on} (n = ${countOf(result.n, result.unpredicted)}), measured on ${result.measured_on} (n = ${countOf(result.measured_n, result.measured_unpredicted)}). Expected calibration error ${decimal(result.ece)}, RMSE ${decimal(result.rmse)}, both in units of the MOS.`;
  return page({
    title: 'Calibration',
    origin: { ...(await provenance()), command },
    body: `<p>${escape(text)}</p>${figure(plot, 'Bins of calibrated scores with equal numbers of items.', { name: 'calibration', head: ['items', 'predicted', 'mos'], rows: result.bins.map((bin) => [bin.n, bin.predicted, bin.mos]) })}`,
  });
}
