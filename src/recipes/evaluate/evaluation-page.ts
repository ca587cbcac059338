import { basename, dirname } from 'node:path';
import type { MediaLimits } from '../../media/limits.js';
import { escape } from '../../report/escape.js';
import { page, table } from '../../report/page.js';
import { datasetSection } from './dataset-section.js';
import { INTERVALS, metricsTable, modelSentence, ruleSentences } from './markdown.js';
import type { EvaluateResult, EvaluatedDataset } from './result.js';

/** Origin of the page, and limits of its pictures. */
export interface PageOptions {
  /** Command line that is printed on the page. */
  readonly command?: string | undefined;
  readonly limits?: Partial<MediaLimits> | undefined;
}

/** The report of an evaluation as one HTML file with embedded pictures. */
export async function evaluationPage(
  result: EvaluateResult,
  datasets: readonly EvaluatedDataset[],
  { command, limits }: PageOptions = {},
): Promise<string> {
  const { head, rows } = metricsTable(result.datasets);
  const sections: string[] = [];
  for (const one of datasets)
    sections.push(
      await datasetSection(one, {
        title: one.result.dataset,
        rule: result.rule,
        isEnsemble: result.ensemble !== null,
        limits,
      }),
    );
  return page({
    title: `Evaluation: ${result.name}`,
    origin: {
      ...result.provenance,
      command,
      links: ['evaluation.json', ...result.datasets.map((one) => `predictions/${basename(one.predictions)}`)],
    },
    roots: rootsOf(datasets),
    body: [
      `<p class="${result.model.untrained ? 'note' : 'soft'}">${escape(modelSentence(result))}</p>`,
      ...ruleSentences(result).map((text) => `<p>${escape(text)}</p>`),
      table(
        head,
        rows.map((cells) => cells.map((cell) => cell.replace(' [', '\n['))),
      ),
      `<p class="soft">${escape(INTERVALS)}</p>`,
      ...sections,
    ].join('\n'),
  });
}

/** Folders of the record files; the page shows paths relative to them. */
export const rootsOf = (datasets: readonly EvaluatedDataset[]): string[] => [
  ...new Set(datasets.map(({ set }) => dirname(set.file))),
];
