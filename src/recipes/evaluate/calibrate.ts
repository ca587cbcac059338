import { QalignError } from '../../base/errors.js';
import { provenance } from '../../base/provenance.js';
import { figure } from '../../report/figure.js';
import { escape, page } from '../../report/page.js';
import { lines } from '../../report/plots.js';
import { decimal } from '../../report/text.js';
import { fitCalibrationFile, reportCalibration, type CalibrationReport } from './calibration-file.js';
import type { DatasetPredictions } from './combine.js';
import { scoredRows } from './measure.js';
import { writeWhole } from '../../base/files/whole-file.js';
import { readPredictions } from './predictions.js';

/** Predictions to fit to, predictions to test on, and the method. */
export interface CalibrateOptions {
  /** Predictions of validation items; the curve is fitted on them. */
  readonly predictions: string;
  /** `logistic`: four parameters; `isotonic`: the best rising steps. */
  readonly method: 'logistic' | 'isotonic';
  /** Predictions of other items of the same model, to judge the curve by. */
  readonly test?: string | undefined;
  /** The JSON file that is written. */
  readonly out: string;
  /** A page with the reliability plot. */
  readonly page?: string | undefined;
  /** The command line, for the page. */
  readonly command?: string | undefined;
}

/** The calibration and how far it is off, before and after. */
export interface CalibrateResult extends CalibrationReport {
  /** The calibration file that was written. */
  readonly file: string;
  /** Predictions that the curve was fitted on. */
  readonly n: number;
  /** Records of the file that were not predicted, and are in no number. */
  readonly unpredicted: number;
  /** What ece, rmse and bins were measured on. */
  readonly measured_on: string;
  /** Predictions that ece, rmse and bins were measured on. */
  readonly measured_n: number;
  /** Records of that file without a prediction. */
  readonly measured_unpredicted: number;
}

/**
 * Fits a curve from scores to the MOS scale, saves it, and measures its error.
 * @throws QalignError RESUME_MISMATCH for a test of another model, PREDICTIONS_DAMAGED, OUTPUT_UNWRITABLE
 */
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
  if (options.page !== undefined) await writeWhole(options.page, await calibrationPage(result, options.command));
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
  const text = `${result.method} calibration fitted on ${result.fitted_on} (n = ${countOf(result.n, result.unpredicted)}), measured on ${result.measured_on} (n = ${countOf(result.measured_n, result.measured_unpredicted)}): expected calibration error ${decimal(result.ece)}, RMSE ${decimal(result.rmse)}, in units of the MOS.`;
  return page({
    title: 'Calibration',
    origin: { ...(await provenance()), command },
    body: `<p>${escape(text)}</p>${figure(plot, 'Bins of equal count by calibrated score.', { name: 'calibration', head: ['items', 'predicted', 'mos'], rows: result.bins.map((bin) => [bin.n, bin.predicted, bin.mos]) })}`,
  });
}
