import { parse } from 'csv-parse/sync';
import type { EvaluateRecipe } from '../../config/evaluate.js';
import type { DeepReadonly } from '../../config/load.js';
import { QalignError } from '../../base/errors.js';
import { readWithin, type Reach } from '../../base/files/reach.js';
import { combine, fitWeights, standardOf, type Standard } from '../../scoring/ensemble.js';
import type { Rows } from './measure.js';
import type { PredictionTable } from './predictions.js';
import { reasonOf } from '../../base/files/reason.js';

type Recipe = DeepReadonly<EvaluateRecipe>;
/** A CSV file with the scores of another scorer. */
type Other = NonNullable<Recipe['ensemble']>['with'][number];

/** How the scores of several scorers were combined. Part of evaluation.json. */
export interface EnsembleReport {
  readonly weights: Readonly<Record<string, number>>;
  /** The validation entry on which the weights were fitted; null if the recipe has the weights. */
  readonly fitted_on: string | null;
}

/** Predictions of one data set. `name` is its name in the recipe. */
export interface DatasetPredictions {
  readonly name: string;
  readonly table: PredictionTable;
  readonly rows: Rows;
}

/**
 * Combines the scores with the CSV files of other scorers. Means, standard deviations and weights are fitted on the
 * validation entry `fit_on`. Labels of test items are never used. With fixed weights and no `fit_on`, each scorer is
 * standardised over the items of each data set.
 * @param within allowed location of the opened CSV files; default: anywhere
 * @throws QalignError CONFIG_INVALID, EVALUATION_NOT_READY, EVALUATION_FAILED
 */
export async function combineScorers(
  recipe: Recipe,
  all: readonly DatasetPredictions[],
  within?: Reach,
): Promise<{ all: DatasetPredictions[]; report: EnsembleReport | null }> {
  const { ensemble } = recipe;
  if (ensemble === null) return { all: [...all], report: null };
  const names = [recipe.model, ...ensemble.with.map(({ name }) => name)];
  if (new Set(names).size < names.length)
    throw new QalignError(
      'CONFIG_INVALID',
      `The scorers of the ensemble are ${names.join(', ')}; each needs a different name.`,
    );
  const others = await Promise.all(
    ensemble.with.map(async (one) => ({ name: one.name, scores: await readScores(one, within) })),
  );
  const columnsOf = ({ name, table, rows }: DatasetPredictions): Float64Array[] => [
    rows.scores,
    ...others.map((other) =>
      Float64Array.from(rows.index, (row) => {
        const score = other.scores.get(table.ids[row]!);
        if (score === undefined)
          throw new QalignError(
            'EVALUATION_FAILED',
            `${other.name} has no score for ${table.ids[row]} of ${name}; add the missing items to its CSV.`,
          );
        return score;
      }),
    ),
  ];
  const given = [ensemble.weight, ...ensemble.with.map(({ weight }) => weight)];
  const fixed = given.every((weight) => weight !== null);
  if (!fixed && given.some((weight) => weight !== null))
    throw new QalignError(
      'CONFIG_INVALID',
      'The ensemble has weights for some scorers only; give all weights, or none to fit them.',
    );
  const fit = ensemble.fit_on === null ? undefined : validationEntry(recipe, all, ensemble.fit_on, 'ensemble.fit_on');
  if (!fixed && fit === undefined)
    throw new QalignError(
      'CONFIG_INVALID',
      'The ensemble has no weights and no fit_on; set fit_on to an entry of role validation, or give all weights.',
    );
  const fitColumns = fit === undefined ? undefined : columnsOf(fit);
  const fitStandards = fitColumns?.map(asEvaluationError(standardOf));
  const weights = fixed ? given : asEvaluationError(() => fitWeights(fitColumns!, fitStandards!, fit!.rows.mos))();
  return {
    all: all.map((one) => {
      const columns = columnsOf(one);
      const standards: readonly Standard[] = fitStandards ?? columns.map(asEvaluationError(standardOf));
      return { ...one, rows: { ...one.rows, scores: combine(columns, standards, weights) } };
    }),
    report: {
      weights: Object.fromEntries(names.map((name, j) => [name, weights[j]!])),
      fitted_on: fixed ? null : ensemble.fit_on,
    },
  };
}

export function validationEntry(
  recipe: Recipe,
  all: readonly DatasetPredictions[],
  name: string,
  key: string,
): DatasetPredictions {
  const entry = recipe.data.find((one) => one.name === name);
  if (entry?.role !== 'validation')
    throw new QalignError(
      'CONFIG_INVALID',
      `${key} is ${name}, which is ${entry === undefined ? 'not an entry of data' : 'an entry of role test'}; name an entry of role validation.`,
    );
  return all.find((one) => one.name === name)!;
}

async function readScores(
  { csv, id_column, score_column, name }: Other,
  within: Reach | undefined,
): Promise<Map<string, number>> {
  const bytes = await readWithin(csv, within).catch((cause: Error) => {
    if (cause instanceof QalignError) throw cause;
    throw new QalignError(
      'EVALUATION_NOT_READY',
      `The scores ${csv} of ${name} cannot be read (${reasonOf(cause)}); create that file with an id and a score column.`,
      { cause },
    );
  });
  const rows = readRows(bytes.toString(), csv);
  const scores = new Map<string, number>();
  rows.forEach((row, i) => {
    const [id, written] = [row[id_column], row[score_column]];
    const score = written === undefined || written.trim() === '' ? Number.NaN : Number(written);
    if (id === undefined || !Number.isFinite(score))
      throw new QalignError(
        'CONFIG_INVALID',
        `${csv}, row ${i + 2}: an id in the column "${id_column}" and a number in "${score_column}" are required; the columns are ${Object.keys(row).join(', ')}.`,
      );
    if (scores.has(id))
      throw new QalignError('CONFIG_INVALID', `${csv}, row ${i + 2}: ${id} is repeated; each id must have one row.`);
    scores.set(id, score);
  });
  return scores;
}

function readRows(text: string, csv: string): Record<string, string>[] {
  try {
    return parse(text, { columns: true, bom: true, skip_empty_lines: true, skip_records_with_empty_values: true });
  } catch (cause) {
    throw new QalignError('CONFIG_INVALID', `${csv} is not valid CSV: ${(cause as Error).message}.`, { cause });
  }
}

/** Converts a RangeError of the maths, which is caused by the caller's data, to EVALUATION_FAILED. */
export function asEvaluationError<A extends unknown[], R>(work: (...args: A) => R): (...args: A) => R {
  return (...args) => {
    try {
      return work(...args);
    } catch (cause) {
      if (!(cause instanceof RangeError)) throw cause;
      throw new QalignError('EVALUATION_FAILED', `${cause.message[0]?.toUpperCase()}${cause.message.slice(1)}.`, {
        cause,
      });
    }
  };
}
