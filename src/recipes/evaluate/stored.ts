import { readFile, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { EvaluationOutliers, EvaluationPoints } from '../../api/curves.js';
import { QalignError } from '../../base/errors.js';
import type { Reach } from '../../base/files/reach.js';
import type { EvaluateRecipe } from '../../config/evaluate.js';
import type { MediaLimits } from '../../media/limits.js';
import { thumbnail } from '../../media/thumbnail.js';
import { evenly, MAX_POINTS } from '../../report/plots.js';
import { combineScorers } from './combine.js';
import { scoredRows } from './measure.js';
import { readPredictions } from './predictions.js';
import { readRecordSet } from './records.js';
import type { EvaluateResult } from './result.js';

const SIDE = 200;

/** Where the files of an evaluation are, and how its records and pictures are read. */
export interface StoredEvaluation {
  /** Folder with `evaluation.json`. */
  readonly folder: string;
  /** Limits of decoding, and the allowed location of records and pictures. */
  readonly limits?: Partial<MediaLimits> | undefined;
}

/**
 * Reads `evaluation.json`.
 * @throws QalignError RUN_NOT_FOUND if the evaluation is not completed
 */
export async function readEvaluationFile(folder: string): Promise<EvaluateResult> {
  const text = await readFile(join(folder, 'evaluation.json'), 'utf8').catch((cause: unknown) => {
    throw new QalignError(
      'RUN_NOT_FOUND',
      'The evaluation is not completed and has no results yet; wait for its end.',
      {
        cause,
      },
    );
  });
  return JSON.parse(text) as EvaluateResult;
}

/** Scores and ratings of each data set, evenly thinned for a plot. */
export async function evaluationPoints({ folder, limits }: StoredEvaluation): Promise<EvaluationPoints> {
  const { datasets, rule, recipe } = await readEvaluationFile(folder);
  const raw = [];
  for (const { name } of recipe.data) {
    const file = join(folder, 'predictions', `${name}.jsonl`);
    const table = (await isFile(file)) ? await readPredictions(file) : undefined;
    if (table !== undefined) raw.push({ name, table, rows: scoredRows(table, rule) });
  }
  const { all } = await combineScorers(recipe, raw, limits?.within);
  return {
    datasets: datasets.map(({ dataset }) => {
      const found = all.find(({ name }) => name === dataset);
      if (found === undefined)
        return { dataset, total: 0, score: [], mos: [], ids: [], problem: 'The file of its predictions is missing.' };
      const { table, rows } = found;
      const shown = evenly(rows.index.length, MAX_POINTS);
      return {
        dataset,
        total: rows.index.length,
        score: shown.map((k) => rows.scores[k]!),
        mos: shown.map((k) => rows.mos[k]!),
        ids: shown.map((k) => table.ids[rows.index[k]!]!),
        problem: null,
      };
    }),
  };
}

/** The worst items of each data set, with small pictures where the records and their media can still be read. */
export async function evaluationOutliers(
  { folder, limits }: StoredEvaluation,
  withPictures: boolean,
): Promise<EvaluationOutliers> {
  const { datasets, recipe } = await readEvaluationFile(folder);
  const drawn = [];
  for (const { dataset, worst } of datasets) {
    const entry = recipe.data.find(({ name }) => name === dataset);
    const media = withPictures && entry !== undefined ? await mediaOf(entry, limits?.within) : [];
    const items = [];
    for (const miss of worst) {
      const path = media[miss.index];
      const picture = path === undefined ? null : await thumbnail(path, SIDE, limits).catch(() => null);
      items.push({ ...miss, picture });
    }
    drawn.push({ dataset, worst: items });
  }
  return { datasets: drawn };
}

/** Paths of the media of a data set; empty if its records are gone. */
async function mediaOf(entry: EvaluateRecipe['data'][number], within: Reach | undefined): Promise<readonly string[]> {
  const records = resolve(entry.records);
  return (await isFile(records)) ? (await readRecordSet(entry, within).catch(() => ({ media: [] }))).media : [];
}

const isFile = (path: string): Promise<boolean> =>
  stat(path).then(
    (found) => found.isFile(),
    () => false,
  );
