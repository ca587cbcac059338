import type { MediaLimits } from '../../media/limits.js';
import { thumbnail } from '../../media/thumbnail.js';
import { figure } from '../../report/figure.js';
import { short } from '../../report/histogram.js';
import { matrix } from '../../report/matrix.js';
import { escape } from '../../report/escape.js';
import { heading, row } from '../../report/page.js';
import { bars, lines, MAX_POINTS, scatter } from '../../report/plots.js';
import { reliabilityDiagram } from '../../report/reliability.js';
import { decimal, signed } from '../../report/text.js';
import { levelReliability } from '../../scoring/level-reliability.js';
import { LEVELS } from '../../scoring/levels.js';
import { softmax } from '../../scoring/score.js';
import { logisticAt } from '../../scoring/statistics/logistic.js';
import { manifestBeside } from '../data/manifest.js';
import { mosScale } from '../data/mos-scale.js';
import { examplesOf, residualsOf } from './examples.js';
import type { Miss, Rows } from './measure.js';
import type { CalibrationReport } from './calibration-file.js';
import { NO_LEVEL, type PredictionTable } from './predictions.js';
import type { EvaluatedDataset, EvaluateResult } from './result.js';

/** Levels in the order of the plots, from low to high, like the MOS. */
const RISING = [...LEVELS].reverse();
const rising = <T>(byLevel: readonly T[]): T[] => [...byLevel].reverse();
const LISTED = 20;
const SIDE = 160;

/** Title of a section and kind of its scores. */
export interface SectionOptions {
  readonly title: string;
  readonly rule: EvaluateResult['rule'];
  readonly isEnsemble: boolean;
  /** Limits of its pictures and their allowed location; default: DEFAULT_LIMITS. */
  readonly limits?: Partial<MediaLimits> | undefined;
}

/** The section of one data set as HTML: curve, residuals, levels, reliability and examples. */
export async function datasetSection(
  one: EvaluatedDataset,
  { title, rule, isEnsemble, limits }: SectionOptions,
): Promise<string> {
  const { result, predictions, set } = one;
  const { rows, table } = predictions;
  const source = (await manifestBeside(set.file, limits?.within).catch(() => undefined))?.source;
  const scale = await mosScale(set.records[0]?.dataset ?? result.dataset, rows.mos, source);
  const names = {
    mos: `MOS ${scale === undefined ? `(${short(result.ranges.mos[0], 3)} to ${short(result.ranges.mos[1], 3)} here)` : `(${short(scale[0])}–${short(scale[1])})`}`,
    score: isEnsemble ? 'score (standardised)' : rule === 'two_words' ? 'score (0–1)' : 'score (1–5)',
  };
  const residuals = residualsOf(rows, result.metrics);
  const figures = [
    scoreFigure(one, names),
    ...(residuals === undefined ? [] : [residualFigure(one, residuals, names.mos)]),
    levelFigure(result),
    ...confusionFigure(result),
    ...reliabilityFigure(result.dataset, table, rows),
    ...(result.calibration === null ? [] : [calibrationFigure(result.dataset, result.calibration, names.mos)]),
  ];
  const examples =
    residuals === undefined ? '' : await examplesHtml(one, examplesOf(table, rows, residuals, result.worst), limits);
  return `${heading(2, title)}\n${notes(result)}${row(...figures)}\n${examples}`;
}

function scoreFigure({ result, predictions: { rows, table } }: EvaluatedDataset, names: Names): string {
  const { logistic } = result.metrics;
  const points = Array.from(rows.index, (index, k) => ({
    x: rows.scores[k]!,
    y: rows.mos[k]!,
    label: `${table.ids[index]}: score ${decimal(rows.scores[k], 2)}, MOS ${short(rows.mos[k]!)}`,
  }));
  const shown = points.length > MAX_POINTS ? `${MAX_POINTS} of ${points.length} items` : `${points.length} items`;
  const curve = logistic === null ? undefined : (x: number) => logisticAt(logistic, x);
  return figure(
    scatter({ points, curve, xLabel: names.score, yLabel: names.mos }),
    `Score and MOS of ${shown}.${curve === undefined ? '' : ' The curve maps scores to MOS: the 4-parameter logistic of VQEG, fitted to these items.'}`,
    {
      name: `${result.dataset}-scores`,
      head: ['id', 'score', 'mos', 'mapped'],
      rows: points.map(({ x, y }, k) => [table.ids[rows.index[k]!]!, x, y, curve === undefined ? null : curve(x)]),
    },
  );
}

interface Names {
  readonly mos: string;
  readonly score: string;
}

function residualFigure(
  { result, predictions: { rows, table } }: EvaluatedDataset,
  residuals: Float64Array,
  mosLabel: string,
): string {
  const points = Array.from(residuals, (y, k) => ({
    x: rows.mos[k]!,
    y,
    label: `${table.ids[rows.index[k]!]}: MOS ${short(rows.mos[k]!)}, off by ${short(y)}`,
  }));
  return figure(
    scatter({ points, zero: true, xLabel: mosLabel, yLabel: 'mapped score − MOS' }),
    `Residuals in units of the MOS. Above the line the score is too high. The root mean square is ${shortOr(result.metrics.rmse)}.`,
    {
      name: `${result.dataset}-residuals`,
      head: ['id', 'mos', 'residual'],
      rows: points.map(({ x, y }, k) => [table.ids[rows.index[k]!]!, x, y]),
    },
  );
}

function levelFigure({ dataset, level_counts: counts }: EvaluatedDataset['result']): string {
  const series = [
    ...(counts.mos === null ? [] : [{ name: 'MOS', values: rising(counts.mos) }]),
    { name: 'model', values: rising(counts.predicted) },
  ];
  return figure(
    bars({ names: RISING, series, xLabel: 'level', yLabel: 'items' }),
    `Items of each level${counts.mos === null ? '' : ' by their MOS, and'} by the model.`,
    {
      name: `${dataset}-levels`,
      head: ['level', ...series.map(({ name }) => name)],
      rows: RISING.map((level, i) => [level, ...series.map(({ values }) => values[i]!)]),
    },
  );
}

function confusionFigure({ dataset, confusion, metrics }: EvaluatedDataset['result']): string[] {
  if (confusion === null) return [];
  const values = rising(confusion).map(rising);
  const drawn = matrix({
    rows: RISING,
    columns: RISING,
    values,
    rowLabel: 'level of the MOS',
    columnLabel: 'level of the model',
  });
  return [
    figure(
      drawn,
      `Levels: ${decimal((metrics.level_accuracy ?? 0) * 100, 1)} % agree. Numbers are items; the shade shows the share of the row.`,
      {
        name: `${dataset}-confusion`,
        head: ['MOS \\ model', ...RISING],
        rows: RISING.map((level, r) => [level, ...values[r]!]),
      },
    ),
  ];
}

/** Compares the probability of the predicted level with its accuracy. */
function reliabilityFigure(dataset: string, { logits, level, mosLevel }: PredictionTable, { index }: Rows): string[] {
  if (index.length === 0 || index.some((at) => mosLevel[at] === NO_LEVEL)) return [];
  const width = LEVELS.length;
  const confidence = Float64Array.from(index, (at) =>
    Math.max(...softmax([...logits.subarray(at * width, (at + 1) * width)])),
  );
  const { bins, ece } = levelReliability(
    confidence,
    Array.from(index, (at) => (level[at] === mosLevel[at] ? 1 : 0)),
  );
  return [
    figure(
      reliabilityDiagram(bins, {
        xLabel: 'confidence: probability of the level (0–1)',
        yLabel: 'accuracy of the level (0–1)',
      }),
      `Reliability of the levels: expected calibration error (ECE) ${decimal(ece, 3)}. Bars below the dashed diagonal show overconfidence. The number above a bar is its count of items; the dot is their mean confidence.`,
      {
        name: `${dataset}-reliability`,
        head: ['from', 'to', 'items', 'confidence', 'accuracy'],
        rows: bins.map((bin) => [
          bin.from,
          bin.to,
          bin.n,
          ...(bin.n === 0 ? [null, null] : [bin.confidence, bin.accuracy]),
        ]),
      },
    ),
  ];
}

function calibrationFigure(
  dataset: string,
  { bins, method, fitted_on: fittedOn, ece, rmse }: CalibrationReport,
  mosLabel: string,
): string {
  const points = bins.map(({ predicted: x, mos: y }) => ({ x, y }));
  const ends = [points[0]!, points.at(-1)!].map(({ x }) => ({ x, y: x }));
  return figure(
    lines({
      series: [
        { name: 'calibrated scores', points },
        { name: 'perfect', points: ends },
      ],
      xLabel: 'mean calibrated score, in units of the MOS',
      yLabel: `mean ${mosLabel}`,
    }),
    `Reliability of the scores after ${method} calibration on ${fittedOn}. Expected calibration error ${shortOr(ece)}, RMSE ${shortOr(rmse)}, both in units of the MOS.`,
    {
      name: `${dataset}-calibration`,
      head: ['items', 'predicted', 'mos'],
      rows: bins.map((bin) => [bin.n, bin.predicted, bin.mos]),
    },
  );
}

const shortOr = (value: number | null): string => (value === null ? '–' : short(value));

function notes({ failed, warned, records }: EvaluatedDataset['result']): string {
  const listed = (texts: readonly string[]): string =>
    `${texts.slice(0, LISTED).join(', ')}${texts.length > LISTED ? ` and ${texts.length - LISTED} more` : ''}`;
  const said = [];
  if (failed.length > 0)
    said.push(
      `${failed.length} of ${records} items failed and are not counted in the metrics: ${listed(failed.map(({ id, error }) => `${id} (${error.code})`))}.`,
    );
  if (warned.length > 0)
    said.push(
      `${warned.length} of ${records} predictions have warnings and are included in the metrics: ${listed(warned.map(({ id, warnings }) => `${id} (${warnings.join('; ')})`))}.`,
    );
  return said.map((text) => `<p class="note">${escape(text)}</p>`).join('');
}

async function examplesHtml(
  { result: { worst }, set }: EvaluatedDataset,
  { best, typical }: ReturnType<typeof examplesOf>,
  limits: Partial<MediaLimits> | undefined,
): Promise<string> {
  const parts: [string, string, readonly Miss[]][] = [
    ['Closest', 'The item closest to the curve from each sixth of the items by MOS, lowest first.', best],
    ['Typical', 'Items with a median distance from the curve.', typical],
    ['Worst', 'Items with the largest distance from the curve, largest first.', worst],
  ];
  const drawn = [];
  for (const [title, about, misses] of parts)
    if (misses.length > 0)
      drawn.push(
        `${heading(3, title)}<p class="soft">${escape(about)}</p><div class="thumbs">${(await Promise.all(misses.map((miss) => example(miss, set.media[miss.index]!, limits)))).join('\n')}</div>`,
      );
  return drawn.join('\n');
}

async function example(
  { id, mos, score, error }: Miss,
  path: string,
  limits: Partial<MediaLimits> | undefined,
): Promise<string> {
  const image = await thumbnail(path, SIDE, limits).then(
    (uri) => `<img src="${uri}" alt="${escape(id)}" loading="lazy">`,
    () => '<p class="soft">no picture</p>',
  );
  return figure(
    image,
    `score ${decimal(score, 2)}\nMOS ${short(mos, 3)}\noff by ${signed(error, digitsOf(error))}\n${id}`,
  );
}

/** Number of decimals for three significant digits of a difference. */
const digitsOf = (value: number): number =>
  value === 0 ? 0 : Math.max(0, Math.min(4, 2 - Math.floor(Math.log10(Math.abs(value)))));
