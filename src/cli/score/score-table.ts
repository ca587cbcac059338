import { isFailure, warningsOf, type ScoreOutcome } from '../../api/result.js';
import { visible } from '../terminal/visible.js';

/** The first column is `!` for a score with warnings. `sure` is the probability of the level named. */
export const TABLE_HEADING = '   score  level      sure  task        input';

/** The lines of one input: a row for each task; below it what is wrong with it. */
export function tableLines(outcomes: readonly ScoreOutcome[]): string[] {
  const warnings = new Set(outcomes.flatMap(warningsOf));
  return [...outcomes.flatMap(rowLines), ...[...warnings].map((warning) => `!         warning: ${visible(warning)}`)];
}

function rowLines(outcome: ScoreOutcome): string[] {
  const input = visible(outcome.input);
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
