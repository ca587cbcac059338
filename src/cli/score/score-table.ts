import type { FrameCurve } from '../../api/frame-curve.js';
import type { QualityMap } from '../../api/quality-map.js';
import { isFailure, warningsOf, type ScoreOutcome, type ScoreResult } from '../../api/result.js';
import type { Scale } from '../../scoring/levels.js';
import { lowestWindow } from '../../scoring/quality-map.js';
import { paintLevel, type Paint } from '../terminal/colour.js';
import type { Terminal } from '../terminal/terminal.js';
import { visible } from '../terminal/visible.js';
import { wrap } from '../terminal/fold.js';
import { cutEnd, cutStart, padEnd, padStart, widthOf } from '../terminal/width.js';

interface Column {
  readonly title: string;
  readonly width: number;
  readonly right?: true;
  /** On a narrow terminal, columns with a high number are removed first. */
  readonly spare: number;
  readonly text: (outcome: ScoreOutcome) => string;
  readonly paint?: (paint: Paint, outcome: ScoreOutcome, text: string) => string;
}

/** Width of the input, in cells, below which a column is removed. */
const LEAST_INPUT = 24;
const WIDEST_MODEL = 20;
const MARGIN = '          ';
const RANGE: Readonly<Record<Scale, string>> = { mos5: '1–5', unit: '0–1', percent: '0–100' };
const digitsOf = (scale: Scale): number => (scale === 'percent' ? 2 : 4);

/**
 * Makes the table lines of each input: a row for each task, then its errors and warnings. The heading comes first, and
 * again after a resize. A row begins with `!` if its score has warnings. Long names are cut at their start; numbers are
 * never cut.
 *
 * @param models the ids of the models; with more than one, the table has a model column
 */
export function createScoreTable(
  terminal: Pick<Terminal, 'columns' | 'paint'>,
  models: readonly string[] = [],
): (outcomes: readonly ScoreOutcome[]) => string[] {
  const { paint } = terminal;
  let columns: readonly Column[] = [];
  let fittedTo: number | undefined;
  return (outcomes) => {
    const lines: string[] = [];
    if (fittedTo !== terminal.columns) {
      columns = fittingColumns(outcomes, terminal.columns, models);
      fittedTo = terminal.columns;
      const titles = columns.map(({ title, width, right }) => (right ? padStart : padEnd)(title, width));
      lines.push(paint('bold', ` ${titles.join('  ')}  input`));
    }
    for (const outcome of outcomes) lines.push(...rowLines(outcome, columns, terminal));
    for (const warning of new Set(outcomes.flatMap(warningsOf))) {
      const [first = '', ...rest] = wrap(visible(warning), terminal.columns - MARGIN.length - 9);
      const mark = paint('yellow', '!');
      lines.push(`${mark}${MARGIN.slice(1)}${paint('yellow', 'warning:')} ${first}`);
      lines.push(...rest.map((line) => MARGIN + line));
    }
    return lines;
  };
}

function fittingColumns(outcomes: readonly ScoreOutcome[], room: number, models: readonly string[]): Column[] {
  const isOneTask = new Set(outcomes.map(({ task }) => task)).size < 2;
  const scored = outcomes.find((one): one is ScoreResult => !isFailure(one));
  const columns: Column[] = [
    {
      title: scored === undefined ? 'score' : `score ${RANGE[scored.scale]}`,
      width: scored?.scale === 'percent' ? 11 : 9,
      right: true,
      spare: 0,
      text: (one) => (isFailure(one) ? '–' : one.score.toFixed(digitsOf(one.scale))),
    },
    {
      title: 'level',
      width: 9,
      spare: 0,
      text: (one) => (isFailure(one) ? 'failed' : one.level),
      paint: (paint, one, text) => (isFailure(one) ? paint('red', text) : paintLevel(paint, one.level, text)),
    },
    {
      title: 'probability',
      width: 11,
      right: true,
      spare: 2,
      text: (one) => (isFailure(one) ? '–' : `${Math.round(one.level_probs[one.level] * 100)} %`),
    },
    { title: 'task', width: 10, spare: isOneTask ? 3 : 1, text: ({ task }) => task },
  ];
  if (models.length > 1)
    columns.push({
      title: 'model',
      width: Math.min(WIDEST_MODEL, Math.max(5, ...models.map((id) => widthOf(visible(id))))),
      spare: 0,
      text: ({ model }) => visible(model?.id ?? '–'),
    });
  const widthWithout = (spare: number): number =>
    columns.filter((column) => column.spare < spare).reduce((sum, { width }) => sum + width + 2, 1);
  const spare = [4, 3, 2].find((least) => room - widthWithout(least) >= LEAST_INPUT) ?? 1;
  return columns.filter((column) => column.spare < spare);
}

function rowLines(
  outcome: ScoreOutcome,
  columns: readonly Column[],
  { columns: room, paint }: Pick<Terminal, 'columns' | 'paint'>,
): string[] {
  const cells = columns.map(({ width, right, text, paint: paintCell }) => {
    const whole = text(outcome);
    const shown = (right ? padStart : padEnd)(right ? whole : cutEnd(whole, width), width);
    return paintCell === undefined ? shown : paintCell(paint, outcome, shown);
  });
  const start = (mark: string): string => `${mark}${cells.join('  ')}  `;
  const input = cutStart(visible(outcome.input), Math.max(8, room - widthOf(start(' '))));
  if (isFailure(outcome)) {
    const message = `${visible(outcome.error.message)} [${outcome.error.code}]`;
    return [start(' ') + input, ...wrap(message, room - MARGIN.length).map((line) => MARGIN + line)];
  }
  const row = start(outcome.warnings.length > 0 ? paint('yellow', '!') : ' ') + input;
  const { frame_curve: curve, map, scale } = outcome;
  const details = [
    ...(curve === undefined ? [] : [MARGIN + curveText(curve, scale)]),
    ...(map === undefined ? [] : [MARGIN + mapText(map, scale)]),
  ];
  if (outcome.calibrated_score === undefined) return [row, ...details];
  const calibrated = `(calibrated: ${outcome.calibrated_score.toFixed(digitsOf(outcome.scale))})`;
  const fits = widthOf(row) + 2 + calibrated.length <= room;
  return [...(fits ? [`${row}  ${calibrated}`] : [row, MARGIN + calibrated]), ...details];
}

/** For example "frames: mean 3.1204, 5 % below 2.0131, lowest 1.9001 at 12.0 s". */
function curveText({ kind, window, mean, p5, min, worst, times_s }: FrameCurve, scale: Scale): string {
  const [all, low, lowest] = [mean, p5, min].map((value) => value.toFixed(digitsOf(scale)));
  const what = kind === 'frame' ? 'frames' : `windows of ${window} frames`;
  return `${what}: mean ${all}, 5 % below ${low}, lowest ${lowest} at ${times_s[worst[0] ?? 0]?.toFixed(1)} s`;
}

/** For example "windows of 448 px: median 3.9021, lowest 3.7526 at 0, 0". */
function mapText(map: QualityMap, scale: Scale): string {
  const { value, x, y } = lowestWindow(map);
  const [middle, lowest] = [map.median, value].map((score) => score.toFixed(digitsOf(scale)));
  return `windows of ${map.window} px: median ${middle}, lowest ${lowest} at ${x}, ${y}`;
}
