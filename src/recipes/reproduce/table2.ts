import { existsSync } from 'node:fs';
import { convertRatings } from '../../datasets/convert.js';
import { QalignError } from '../../base/errors.js';
import { openSource, planConversion } from '../data/source.js';
import { difference, PAPER_LEVEL_PRECISION } from '../evaluate/published-figures.js';
import type { ReproducedRow, ReproducedTable, ReproduceOptions } from './table.js';

/**
 * Measures how precise the levels are. A data set whose labels are missing is left out with a note.
 * @throws QalignError DATASET_NOT_FOUND if no labels are found
 */
export async function table2({ labels = '', signal, onProgress }: ReproduceOptions): Promise<ReproducedTable> {
  if (!existsSync(labels))
    throw new QalignError(
      'DATASET_NOT_FOUND',
      `The folder ${labels} does not exist; use --labels with the folder of the label files.`,
    );
  const rows: ReproducedRow[] = [];
  const notes: string[] = [];
  for (const paper of PAPER_LEVEL_PRECISION) {
    signal?.throwIfAborted();
    onProgress?.(paper.dataset);
    try {
      const opened = await openSource({ dataset: paper.dataset, labels });
      const plan = await planConversion(opened, { preset: 'official', softLabels: 'none', split: paper.split });
      const { n, n_all, srcc, plcc, files } = await convertRatings(
        opened.scan,
        { ...plan, mediaOf: ({ name }) => name },
        () => undefined,
      );
      rows.push({
        dataset: paper.dataset,
        n,
        srcc,
        plcc,
        paper_srcc: paper.srcc,
        paper_plcc: paper.plcc,
        srcc_difference: difference(srcc, paper.srcc),
        plcc_difference: difference(plcc, paper.plcc),
        n_all,
      });
      notes.push(
        `${paper.dataset}: ${n} of the ${n_all} ${paper.split === undefined ? 'rows' : `rows of its split ${paper.split}`} of ${files.join(', ')} are inside the range of the levels`,
      );
    } catch (error) {
      if (!(error instanceof QalignError) || error.family !== 'dataset') throw error;
      notes.push(`${paper.dataset} is left out: ${error.message}`);
    }
  }
  if (rows.length === 0)
    throw new QalignError(
      'DATASET_NOT_FOUND',
      `${labels} has no label files of ${PAPER_LEVEL_PRECISION.map(({ dataset }) => dataset).join(', ')}; "qalign dataset list" shows their names.`,
    );
  return { title: 'Table 2: precision of the conversion from scores to levels', rows, notes };
}
