import type { TrainEvent } from '../../../bridge/protocol/train.js';
import type { TrainRecipeInput } from '../../config/recipe-input.generated.js';
import { readEvents } from '../../runs/run-directory.js';
import { meanAndDeviation } from '../../scoring/statistics/descriptive.js';
import { train, type TrainOptions, type TrainResult } from './train.js';

/** Options of `trainSeries`. */
export interface TrainSeriesOptions extends Omit<TrainOptions, 'reuse'> {
  /** Each recipe is trained once per seed. Default: once, with the seed of the recipe. */
  readonly seeds?: readonly number[];
  /** Called before each run with its name, its number and the total number of runs. */
  readonly onStart?: (run: { readonly name: string; readonly number: number; readonly total: number }) => void;
}

/**
 * Results of a recipe over its seeds: mean and sample standard deviation of the correlations on the dev split after the
 * last epoch.
 */
export interface TrainSeriesRow {
  /** Name of the recipe. */
  readonly recipe: string;
  /** Number of runs. */
  readonly runs: number;
  /** Number of records in the dev split. */
  readonly items: number | null;
  /** Mean SRCC. */
  readonly srcc: number | null;
  /** Sample standard deviation of the SRCC; null for one run. */
  readonly srccSd: number | null;
  /** Mean PLCC. */
  readonly plcc: number | null;
  /** Sample standard deviation of the PLCC; null for one run. */
  readonly plccSd: number | null;
  /** First epoch whose SRCC is within 0.01 of the best of its run, as the mean over the runs. */
  readonly epochsToConverge: number | null;
  /** Mean number of epochs that were trained. */
  readonly epochs: number | null;
  /** Mean duration of a run in seconds. */
  readonly seconds: number | null;
}

/** Results of several recipes and seeds. */
export interface TrainSeries {
  /** A row for each recipe. */
  readonly rows: readonly TrainSeriesRow[];
  /** All runs, in the order of training. */
  readonly runs: readonly TrainResult[];
}

/**
 * Trains several recipes with several seeds in sequence and summarises each recipe. Completed runs of the same recipe
 * and data are reused, and unfinished runs are continued. If the signal stops a run, the result has the runs so far.
 * @example
 * ```ts
 * const recipe = { model: 'nano', device: 'cpu', data: { train: ['data/own/train.jsonl'] } } as const;
 * const { rows } = await trainSeries([{ ...recipe, name: 'a' }, { ...recipe, name: 'b', seed: 1 }], { seeds: [1, 2] });
 * ```
 */
export async function trainSeries(
  recipes: readonly TrainRecipeInput[],
  options: TrainSeriesOptions = {},
): Promise<TrainSeries> {
  const { seeds = [], onStart, ...rest } = options;
  const planned = recipes.flatMap((recipe) =>
    seeds.length === 0
      ? [{ recipe, of: recipe.name }]
      : seeds.map((seed) => ({ recipe: { ...recipe, name: `${recipe.name}-seed${seed}`, seed }, of: recipe.name })),
  );
  const done: { of: string; result: TrainResult; events: readonly TrainEvent[] }[] = [];
  for (const [index, { recipe, of }] of planned.entries()) {
    onStart?.({ name: recipe.name, number: index + 1, total: planned.length });
    const result = await train(recipe, { ...rest, reuse: true });
    if (result.status !== 'completed') break;
    done.push({ of, result, events: await readEvents(result.folder) });
  }
  const rows = [...new Set(done.map(({ of }) => of))].map((name) =>
    seriesRow(
      name,
      done.filter(({ of }) => of === name).map(({ events }) => events),
    ),
  );
  return { rows, runs: done.map(({ result }) => result) };
}

/** Summarises the runs of a recipe from their events. */
export function seriesRow(recipe: string, runs: readonly (readonly TrainEvent[])[]): TrainSeriesRow {
  const told = runs.map(readRun);
  const [srcc, plcc] = [summaryOf(told.map(({ last }) => last?.srcc)), summaryOf(told.map(({ last }) => last?.plcc))];
  return {
    recipe,
    runs: runs.length,
    items: told[0]?.last?.items ?? null,
    srcc: srcc.mean,
    srccSd: srcc.deviation,
    plcc: plcc.mean,
    plccSd: plcc.deviation,
    epochsToConverge: summaryOf(told.map(({ converged }) => converged)).mean,
    epochs: summaryOf(told.map(({ epochs }) => epochs)).mean,
    seconds: summaryOf(told.map(({ seconds }) => seconds)).mean,
  };
}

function readRun(events: readonly TrainEvent[]): {
  last: Extract<TrainEvent, { event: 'evaluation' }> | undefined;
  converged: number | undefined;
  epochs: number | undefined;
  seconds: number | undefined;
} {
  const evaluations = events.filter((event) => event.event === 'evaluation');
  const started = events.find((event) => event.event === 'started');
  const best = Math.max(...evaluations.map(({ srcc }) => srcc ?? -Infinity));
  const near = evaluations.find(({ srcc }) => srcc !== null && srcc >= best - 0.01);
  const perEpoch = started?.steps_per_epoch;
  const epochOf = (step: number | undefined): number | undefined =>
    step === undefined || perEpoch === undefined ? undefined : step / perEpoch;
  const last = evaluations.at(-1);
  return {
    last,
    converged: epochOf(near?.step),
    epochs: epochOf(last?.step),
    seconds: started === undefined ? undefined : events.at(-1)!.time - started.time,
  };
}

/** Mean and standard deviation of the values that are not missing. */
function summaryOf(values: readonly (number | null | undefined)[]): ReturnType<typeof meanAndDeviation> {
  return meanAndDeviation(values.filter((value) => value !== null && value !== undefined));
}

/** The cells of the table, with the header first. */
export function seriesCells({ rows }: TrainSeries): string[][] {
  const measured = (mean: number | null, sd: number | null): string =>
    mean === null ? '-' : `${mean.toFixed(3)}${sd === null ? '' : ` ± ${sd.toFixed(3)}`}`;
  const body = rows.map((row) => [
    row.recipe,
    `${row.runs}`,
    `${row.items ?? '-'}`,
    measured(row.srcc, row.srccSd),
    measured(row.plcc, row.plccSd),
    row.epochsToConverge?.toFixed(1) ?? '-',
    row.epochs?.toFixed(0) ?? '-',
    row.seconds?.toFixed(0) ?? '-',
  ]);
  return [['recipe', 'runs', 'n', 'SRCC', 'PLCC', 'epochs to converge', 'of', 'seconds per run'], ...body];
}
