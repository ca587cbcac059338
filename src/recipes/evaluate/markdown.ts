import { decimal, markdownTable, signed, withInterval } from '../../report/text.js';
import { describeLogistic } from './logistic-words.js';
import { difference } from './published-figures.js';
import type { DatasetResult, EvaluateResult } from './result.js';

/** The metrics of an evaluation as a table of texts, for the terminal, Markdown and HTML. */
export function metricsTable(datasets: readonly DatasetResult[]): { head: string[]; rows: string[][] } {
  const withPaper = datasets.some(({ paper }) => paper !== null);
  const head = [
    'data set',
    'n',
    'SRCC',
    'PLCC',
    'PLCC (logistic)',
    'KRCC',
    'RMSE (logistic)',
    '(SRCC+PLCC)/2',
    'level accuracy',
    ...(withPaper ? ['paper SRCC/PLCC', 'difference'] : []),
  ];
  const rows = datasets.map(({ dataset, records, metrics, paper }) => {
    const value = (
      name: 'srcc' | 'plcc' | 'plcc_logistic' | 'krcc' | 'rmse' | 'mean_correlation' | 'level_accuracy',
    ): string => withInterval(metrics[name], metrics.intervals[name]);
    const beside =
      paper === null
        ? ['–', '–']
        : [
            `${decimal(paper.srcc, 3)}/${decimal(paper.plcc, 3)} (${paper.source})`,
            `${signed(difference(metrics.srcc, paper.srcc), 3)}/${signed(difference(metrics.plcc, paper.plcc), 3)}`,
          ];
    return [
      dataset,
      metrics.n === records ? String(records) : `${metrics.n} of ${records}`,
      value('srcc'),
      value('plcc'),
      value('plcc_logistic'),
      value('krcc'),
      value('rmse'),
      value('mean_correlation'),
      value('level_accuracy'),
      ...(withPaper ? beside : []),
    ];
  });
  return { head, rows };
}

/** Describes the model and the settings of the numbers, and marks an untrained model. */
export function modelSentence({
  model,
  prompt,
  score_version,
}: Pick<EvaluateResult, 'model' | 'prompt' | 'score_version'>): string {
  const untrained = model.untrained ? ' It is UNTRAINED: these numbers show only that the software runs.' : '';
  const zeroShot = model.taught === false ? ' It was not taught to rate: these are zero-shot scores.' : '';
  return `Model ${model.id}, revision ${model.revision.slice(0, 12)}, weights ${model.weights_sha256.slice(0, 12)}, ${model.precision}, prompt ${prompt.name}, score_version ${score_version}.${untrained}${zeroShot}`;
}

export const INTERVALS =
  'Brackets: 95 % intervals, bootstrap by source image. PLCC is computed on raw scores. PLCC (logistic) and RMSE (logistic) are computed after fitting the 4-parameter logistic of VQEG. RMSE is in units of the MOS. A dash (–) means that the value cannot be computed from these items.';

/** Describes how the scores were computed, if not by the default rule. */
export function ruleSentences({ rule, ensemble }: Pick<EvaluateResult, 'rule' | 'ensemble'>): string[] {
  const said: string[] = [];
  if (rule === 'two_words') said.push('Scoring rule: softmax over "good" and "poor" (Q-Bench), from 0 to 1.');
  if (ensemble !== null)
    said.push(
      `Ensemble of standardised scores: ${Object.entries(ensemble.weights)
        .map(([name, weight]) => `${name} ${decimal(weight, 3)}`)
        .join(', ')}; weights ${ensemble.fitted_on === null ? 'of the recipe' : `fitted on ${ensemble.fitted_on}`}.`,
    );
  if (said.length > 0) said.push('Levels and level accuracy use the most probable level of the model, not this score.');
  return said;
}

/** @param table formats the metrics; default: a Markdown table */
export function evaluationMarkdown(result: EvaluateResult, table = markdownTable): string {
  const { head, rows } = metricsTable(result.datasets);
  const parts = [`# ${result.name}`, modelSentence(result), ...ruleSentences(result)];
  parts.push(table(head, rows), INTERVALS);
  for (const { dataset, metrics, ranges, calibration, failed, warned, records } of result.datasets) {
    if (metrics.logistic !== null) parts.push(`${dataset}: ${describeLogistic(metrics.logistic, ranges)}.`);
    if (calibration !== null)
      parts.push(
        `${dataset}, calibrated (${calibration.method}, fitted on ${calibration.fitted_on}): expected calibration error ${decimal(calibration.ece)}, RMSE ${decimal(calibration.rmse)}, both in units of the MOS.`,
      );
    if (failed.length > 0)
      parts.push(
        `${dataset}: ${failed.length} of ${records} items failed, within the limit of allow_failures: ${failed
          .slice(0, 10)
          .map(({ id, error }) => `${id} [${error.code}]`)
          .join(', ')}.`,
      );
    if (warned.length > 0)
      parts.push(
        `${dataset}: ${warned.length} of ${records} predictions have warnings and are included in the metrics: ${warned
          .slice(0, 10)
          .map(({ id, warnings }) => `${id} (${warnings.join('; ')})`)
          .join(', ')}.`,
      );
  }
  return `${parts.join('\n\n')}\n`;
}
