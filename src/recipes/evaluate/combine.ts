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
/** Another scorer, by its scores. */
type Other = NonNullable<Recipe['ensemble']>['with'][number];

/** How the scores of several scorers were made one. Serialised as it is. */
export interface EnsembleReport {
  readonly weights: Readonly<Record<string, number>>;
  /** The validation entry that the weights were fitted on; null: they stand in the recipe. */
  readonly fitted_on: string | null;
}

/** Rows of one data set, by its name in the recipe. */
export interface DatasetPredictions {
  readonly name: string;
  readonly table: PredictionTable;
  readonly rows: Rows;
}

/**
 * The rows with scores combined with other scorers' CSVs. Means, spreads and weights come from the validation entry
 * `fit_on` where there is one; labels of test items are never looked at. With fixed weights and no `fit_on` each
 * scorer is standardised over the items at hand.
 *
 * @param within where the opened CSVs must lie; anywhere by default
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
      `The scorers of the ensemble are ${names.join(', ')}; give each a name of its own.`,
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
            `${other.name} has no score for ${table.ids[row]} of ${name}; its CSV must hold every item.`,
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
      'The ensemble gives some weights and not others; give all of them, or none to have them fitted.',
    );
  const fit = ensemble.fit_on === null ? undefined : validationEntry(recipe, all, ensemble.fit_on, 'ensemble.fit_on');
  if (!fixed && fit === undefined)
    throw new QalignError(
      'CONFIG_INVALID',
      'The ensemble has no weights and no fit_on; weights are fitted on validation data only, so name an entry of role validation.',
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
      `${key} is ${name}, which is ${entry === undefined ? 'no entry of data' : 'an entry of role test'}; fitting is done on an entry of role validation only.`,
    );
  return all.find((one) => one.name === name)!;
}

async function readScores(
  { csv, id_column, score_column, name }: Other,
  within: Reach | undefined,
): Promise<Map<string, number>> {
  const bytes = await readWithin(csv, within).catch((cause: Error) => {
    if (cause instanceof QalignError) throw cause;
    throw new QalignError('EVALUATION_NOT_READY', `The scores ${csv} of ${name} cannot be read: ${reasonOf(cause)}.`, {
      cause,
    });
  });
  const rows = readRows(bytes.toString(), csv);
  const scores = new Map<string, number>();
  rows.forEach((row, i) => {
    const [id, written] = [row[id_column], row[score_column]];
    const score = written === undefined || written.trim() === '' ? Number.NaN : Number(written);
    if (id === undefined || !Number.isFinite(score))
      throw new QalignError(
        'CONFIG_INVALID',
        `${csv}, row ${i + 2}: a column "${id_column}" and a number in "${score_column}" are needed; the columns are ${Object.keys(row).join(', ')}.`,
      );
    if (scores.has(id)) throw new QalignError('CONFIG_INVALID', `${csv}, row ${i + 2}: ${id} stands there twice.`);
    scores.set(id, score);
  });
  return scores;
}

function readRows(text: string, csv: string): Record<string, string>[] {
  try {
    return parse(text, { columns: true, bom: true, skip_empty_lines: true, skip_records_with_empty_values: true });
  } catch (cause) {
    throw new QalignError('CONFIG_INVALID', `${csv} is no CSV: ${(cause as Error).message}.`, { cause });
  }
}

/** What the maths refuses is the caller's data: a sentence, not a stack. */
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
