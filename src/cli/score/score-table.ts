import { isFailure, warningsOf, type ScoreOutcome } from '../../api/result.js';
import { visible } from '../terminal/visible.js';

/** How outcomes are shown to people: the heading, and the lines of one input. */
export interface TableFormat {
  readonly heading: string;
  /** A row for each task; below them what is wrong with the input. */
  linesOf(outcomes: readonly ScoreOutcome[]): string[];
}

/**
 * The first column is `!` for a score with warnings. `sure` is the probability of the level named.
 *
 * @param models in a run with several, which then have a column
 */
export function tableFormat(models?: readonly string[]): TableFormat {
  const width = models === undefined ? 0 : Math.max('model'.length, ...models.map((name) => visible(name).length));
  const modelCell = (name: string): string => (width === 0 ? '' : `${visible(name).padEnd(width)}  `);
  return {
    heading: `   score  level      sure  task        ${modelCell('model')}input`,
    linesOf(outcomes) {
      const warnings = new Set(outcomes.flatMap(warningsOf));
      return [
        ...outcomes.flatMap((outcome) => rowLines(outcome, modelCell(outcome.model?.id ?? ''))),
        ...[...warnings].map((warning) => `!         warning: ${visible(warning)}`),
      ];
    },
  };
}

function rowLines(outcome: ScoreOutcome, model: string): string[] {
  const input = `${model}${visible(outcome.input)}`;
  const task = outcome.task.padEnd(10);
  if (isFailure(outcome))
    return [
      `       –  ${'failed'.padEnd(9)}     –  ${task}  ${input}`,
      `          ${visible(outcome.error.message)} [${outcome.error.code}]`,
    ];
  const digits = outcome.scale === 'percent' ? 2 : 4;
  const calibrated =
    outcome.calibrated_score === undefined ? '' : `  (calibrated: ${outcome.calibrated_score.toFixed(digits)})`;
  const sure = `${Math.round(outcome.level_probs[outcome.level] * 100)} %`;
  const mark = outcome.warnings.length > 0 ? '!' : ' ';
  const score = outcome.score.toFixed(digits).padStart(7);
  return [`${mark}${score}  ${outcome.level.padEnd(9)} ${sure.padStart(5)}  ${task}  ${input}${calibrated}`];
}
