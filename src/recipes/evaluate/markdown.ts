import { decimal, markdownTable, signed, withInterval } from '../../report/text.js';
import { describeLogistic } from './logistic-words.js';
import { difference } from './published-figures.js';
import type { DatasetResult, EvaluateResult } from './result.js';

/** The one table of an evaluation, as texts: for the terminal, Markdown and HTML. */
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

/** What must be known to read the numbers; an untrained model's are called that. */
export function modelSentence({
  model,
  prompt,
  score_version,
}: Pick<EvaluateResult, 'model' | 'prompt' | 'score_version'>): string {
  const untrained = model.untrained
    ? ' It is UNTRAINED: these numbers show that the machinery runs and nothing else.'
    : '';
  return `Model ${model.id}, revision ${model.revision.slice(0, 12)}, weights ${model.weights_sha256.slice(0, 12)}, ${model.precision}, prompt ${prompt.name}, score_version ${score_version}.${untrained}`;
}

export const INTERVALS =
  'In brackets: 95 % intervals, bootstrap by source image. PLCC is raw; PLCC (logistic) and RMSE are after the 4-parameter logistic of VQEG, RMSE in units of the MOS. A dash (–): the value cannot be computed from these items.';

/** How the scores were made of what the model says, where that is not the usual way. */
export function ruleSentences({ rule, ensemble }: Pick<EvaluateResult, 'rule' | 'ensemble'>): string[] {
  const said: string[] = [];
  if (rule === 'two_words') said.push('Scoring rule: softmax over "good" and "poor" (Q-Bench), 0 to 1.');
  if (ensemble !== null)
    said.push(
      `Ensemble of standardised scores: ${Object.entries(ensemble.weights)
        .map(([name, weight]) => `${name} ${decimal(weight, 3)}`)
        .join(', ')}; weights ${ensemble.fitted_on === null ? 'of the recipe' : `fitted on ${ensemble.fitted_on}`}.`,
    );
  if (said.length > 0)
    said.push('Levels, and their accuracy, are those that the model itself finds most probable of its five.');
  return said;
}

/** @param table how the metrics are drawn, Markdown unless said */
export function evaluationMarkdown(result: EvaluateResult, table = markdownTable): string {
  const { head, rows } = metricsTable(result.datasets);
  const parts = [`# ${result.name}`, modelSentence(result), ...ruleSentences(result)];
  parts.push(table(head, rows), INTERVALS);
  for (const { dataset, metrics, ranges, calibration, failed, warned, records } of result.datasets) {
    if (metrics.logistic !== null) parts.push(`${dataset}: ${describeLogistic(metrics.logistic, ranges)}.`);
    if (calibration !== null)
      parts.push(
        `${dataset}: calibrated (${calibration.method}, fitted on ${calibration.fitted_on}): expected calibration error ${decimal(calibration.ece)}, RMSE ${decimal(calibration.rmse)}, in units of the MOS.`,
      );
    if (failed.length > 0)
      parts.push(
        `${dataset}: ${failed.length} of ${records} items failed and were allowed to: ${failed
          .slice(0, 10)
          .map(({ id, error }) => `${id} [${error.code}]`)
          .join(', ')}.`,
      );
    if (warned.length > 0)
      parts.push(
        `${dataset}: ${warned.length} of ${records} predictions have warnings and are in the metrics: ${warned
          .slice(0, 10)
          .map(({ id, warnings }) => `${id} (${warnings.join('; ')})`)
          .join(', ')}.`,
      );
  }
  return `${parts.join('\n\n')}\n`;
}
