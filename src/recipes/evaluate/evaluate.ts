// Evaluation: predict, then measure. Metrics are in src/scoring, page and plot parts in src/report.

import { basename, join, resolve } from 'node:path';
import { EvaluateRecipe, type EvaluateData } from '../../config/evaluate.js';
import { checkConfig, type DeepReadonly } from '../../config/load.js';
import type { EvaluateRecipeInput } from '../../config/recipe-input.generated.js';
import { writeWhole } from '../../base/files/whole-file.js';
import { QalignError } from '../../base/errors.js';
import type { Logger } from '../../base/logger.js';
import { withExclusiveFile } from '../../base/files/exclusive-file.js';
import { provenance } from '../../base/provenance.js';
import { createScorer } from '../score/create-scorer.js';
import type { MediaLimits } from '../../media/limits.js';
import type { Scorer, ScorerOptions } from '../score/scorer.js';
import { combineScorers, validationEntry, type DatasetPredictions } from './combine.js';
import { fitCalibrationFile, reportCalibration, type CalibrationFile } from './calibration-file.js';
import { measurePredictions, scoredRows } from './measure.js';
import { evaluationMarkdown } from './markdown.js';
import { evaluationPage } from './evaluation-page.js';
import { predict, type PredictProgress } from './predict.js';
import { readPredictions } from './predictions.js';
import { publishedFigure, type PublishedFigure } from './published-figures.js';
import { checkReady, describeMissing } from './ready.js';
import type { RecordSet } from './records.js';
import type { EvaluatedDataset, EvaluateResult } from './result.js';

/** Progress of an evaluation: loading, predicting, and each completed data set. */
export type EvaluateEvent =
  | { readonly event: 'loading'; readonly message: string; readonly done?: number; readonly total?: number }
  | ({ readonly event: 'predicting' } & PredictProgress)
  | {
      readonly event: 'evaluated';
      readonly dataset: string;
      readonly n: number;
      readonly srcc: number | null;
      readonly plcc: number | null;
    };

/** Options of an evaluation that are not part of the recipe. */
export interface EvaluateOptions {
  /**
   * Takes log lines.
   * @default silentLogger
   */
  readonly log?: Logger | undefined;
  /** Stops the evaluation; a later call continues it. */
  readonly signal?: AbortSignal | undefined;
  /** Called with each event: loading, predicting and evaluated data sets. */
  readonly onEvent?: ((event: EvaluateEvent) => void) | undefined;
  /**
   * Output folder of predictions and reports; default: `evaluations/<name>`. A folder of the same recipe is continued.
   */
  readonly out?: string | undefined;
  /**
   * Command line that is printed in the report.
   * @default none
   */
  readonly command?: string | undefined;
  /** Limits of decoding, and the allowed location of records, media and scores; default: DEFAULT_LIMITS. */
  readonly limits?: Partial<MediaLimits> | undefined;
  /** Creates the scorer, for tests and callers with a loaded model. The evaluation closes it at the end. */
  readonly createScorer?: ((options: ScorerOptions) => Promise<Scorer>) | undefined;
}

/**
 * Evaluates a checkpoint on data sets. It predicts the missing records and computes all metrics. It writes
 * `evaluation.json`, `evaluation.md` and `report.html` to the folder. After a crash the same call continues, with the
 * same results.
 *
 * @throws QalignError CONFIG_INVALID; EVALUATION_NOT_READY with all missing files and how to get them;
 * EVALUATION_FAILED if more than `allow_failures` items failed; RESUME_MISMATCH, PREDICTIONS_DAMAGED, CANCELLED
 * @example
 * ```ts
 * const { datasets } = await evaluate({
 *   name: 'own',
 *   model: 'nano',
 *   device: 'cpu',
 *   data: [{ name: 'own', records: 'data/own/dev.jsonl' }],
 * });
 * for (const { dataset, metrics } of datasets) console.log(dataset, metrics.srcc, metrics.intervals.srcc);
 * ```
 */
export async function evaluate(input: EvaluateRecipeInput, options: EvaluateOptions = {}): Promise<EvaluateResult> {
  const recipe = checkConfig(EvaluateRecipe, input, 'the recipe');
  requireDistinct('data', recipe.data);
  recipe.data.forEach(paperOf); // refuse an unknown name before hours of predictions
  const { missing, sets } = await checkReady(recipe, { within: options.limits?.within });
  if (missing.length > 0)
    throw new QalignError(
      'EVALUATION_NOT_READY',
      `${recipe.name} cannot be evaluated on this machine:\n${describeMissing(missing)}`,
    );
  return (await evaluateRecords(recipe, sets, options)).result;
}

/**
 * Evaluates record sets that were read already. Also returns the rows for the plots of pages. Only one process at a
 * time works in a folder; others wait.
 */
export async function evaluateRecords(
  recipe: DeepReadonly<EvaluateRecipe>,
  sets: readonly RecordSet[],
  options: EvaluateOptions,
): Promise<{ result: EvaluateResult; datasets: readonly EvaluatedDataset[] }> {
  const folder = resolve(options.out ?? join('evaluations', recipe.name));
  const onWait = (pid: number): void =>
    options.onEvent?.({
      event: 'loading',
      message: `waiting for process ${pid}, which runs an evaluation in ${folder}`,
    });
  return withExclusiveFile(
    join(folder, '.lock'),
    async () => {
      await predictAll(recipe, sets, folder, options);
      return measureFolder(recipe, sets, folder, options);
    },
    { place: `The folder ${folder}`, makeFolder: true, onWait, signal: options.signal },
  );
}

async function predictAll(
  recipe: DeepReadonly<EvaluateRecipe>,
  sets: readonly RecordSet[],
  folder: string,
  options: EvaluateOptions,
): Promise<void> {
  const scorer = await (options.createScorer ?? createScorer)(scorerOptions(recipe, options));
  try {
    for (const set of sets) {
      await predict(scorer, set, predictionsPath(folder, set.name), {
        signal: options.signal,
        limits: options.limits,
        onProgress: (progress) => options.onEvent?.({ event: 'predicting', ...progress }),
      });
    }
  } finally {
    await scorer.close();
  }
}

function predictionsPath(folder: string, dataset: string): string {
  return join(folder, 'predictions', `${dataset}.jsonl`);
}

async function measureFolder(
  recipe: DeepReadonly<EvaluateRecipe>,
  sets: readonly RecordSet[],
  folder: string,
  { onEvent, command, limits }: EvaluateOptions,
): Promise<{ result: EvaluateResult; datasets: readonly EvaluatedDataset[] }> {
  const raw: DatasetPredictions[] = [];
  for (const { name, absent = 0 } of sets) {
    const table = await readPredictions(predictionsPath(folder, name));
    const rows = scoredRows(table, recipe.rule);
    requireComplete(
      name,
      rows.index.length,
      table.header.n,
      [...table.failures.values()],
      recipe.allow_failures + absent,
      folder,
    );
    raw.push({ name, table, rows });
  }
  const { all, report } = await combineScorers(recipe, raw, limits?.within);
  const calibration =
    recipe.calibration === null
      ? undefined
      : fitCalibrationFile(
          validationEntry(recipe, all, recipe.calibration.fit_on, 'calibration.fit_on'),
          recipe.calibration.method,
          recipe.ensemble !== null ? 'ensemble' : recipe.rule,
        );
  const datasets = recipe.data.flatMap((entry): EvaluatedDataset[] => {
    const predictions = all.find(({ name }) => name === entry.name);
    if (predictions === undefined || entry.role === 'validation') return [];
    const measures = measurePredictions(predictions.table, predictions.rows, recipe.bootstrap);
    const { n, srcc, plcc } = measures.metrics;
    onEvent?.({ event: 'evaluated', dataset: entry.name, n, srcc, plcc });
    const result = {
      ...measures,
      predictions: predictionsPath(folder, entry.name),
      paper: paperOf(entry),
      calibration: calibration === undefined ? null : reportCalibration(calibration, predictions),
    };
    return [{ result, predictions, set: sets.find(({ name }) => name === entry.name)! }];
  });
  const { model, prompt, score_version } = raw[0]!.table.header;
  const result: EvaluateResult = {
    name: recipe.name,
    folder,
    model,
    prompt,
    score_version,
    rule: recipe.rule,
    ensemble: report,
    datasets: datasets.map((one) => one.result),
    provenance: await provenance(),
    recipe,
  };
  await writeAll(folder, result, datasets, calibration, { command, limits });
  return { result, datasets };
}

function paperOf({ name, paper }: DeepReadonly<EvaluateData>): PublishedFigure | null {
  return typeof paper === 'string' ? publishedFigure(paper, name) : paper;
}

async function writeAll(
  folder: string,
  result: EvaluateResult,
  evaluated: readonly EvaluatedDataset[],
  calibration: CalibrationFile | undefined,
  { command, limits }: Pick<EvaluateOptions, 'command' | 'limits'>,
): Promise<void> {
  if (calibration !== undefined)
    await writeWhole(join(folder, 'calibration.json'), `${JSON.stringify(calibration, null, 1)}\n`);
  // without the folder, so that the file is the same for a copy, or for the same evaluation in another folder
  const { folder: _place, ...rest } = result;
  const datasets = result.datasets.map((one) => ({ ...one, predictions: `predictions/${basename(one.predictions)}` }));
  await writeWhole(join(folder, 'evaluation.json'), `${JSON.stringify({ ...rest, datasets }, null, 1)}\n`);
  await writeWhole(join(folder, 'evaluation.md'), evaluationMarkdown(result));
  await writeWhole(join(folder, 'report.html'), await evaluationPage(result, evaluated, { command, limits }));
}

/** Requires distinct names, because they are used as file and column names. */
function requireDistinct(where: string, entries: readonly { readonly name: string }[]): void {
  const twice = entries.find(
    ({ name }, i) => entries.findIndex((other) => other.name.toLowerCase() === name.toLowerCase()) < i,
  );
  if (twice !== undefined)
    throw new QalignError('CONFIG_INVALID', `${where} has two entries named ${twice.name}; use different names.`);
}

function requireComplete(
  name: string,
  n: number,
  records: number,
  failed: readonly { id: string; error: { code: string; message: string } }[],
  allowed: number,
  folder: string,
): void {
  if (records - n <= allowed) {
    if (n === 0)
      throw new QalignError(
        'EVALUATION_FAILED',
        `All ${records} items of ${name} failed; fix the cause and run the same command again. First error: ${failed[0]?.error.message ?? 'not predicted'}`,
        { details: { dataset: name, failed: records, records } },
      );
    return;
  }
  const shown = failed
    .slice(0, 5)
    .map(({ id, error }) => `  ${id}: ${error.message} [${error.code}]`)
    .join('\n');
  throw new QalignError(
    'EVALUATION_FAILED',
    `${records - n} of ${records} items of ${name} have no prediction, and allow_failures is ${allowed}:\n${shown}\nFix them and run the same command again, or set allow_failures=${records - n}. The predictions are kept in ${folder}.`,
    { details: { dataset: name, failed: records - n, records } },
  );
}

function scorerOptions(recipe: DeepReadonly<EvaluateRecipe>, { log, signal, onEvent }: EvaluateOptions): ScorerOptions {
  const { model, base, revision, prompt, device, precision, offline, deterministic } = recipe;
  return {
    model,
    base: base ?? undefined,
    revision: revision ?? undefined,
    prompt: prompt ?? undefined,
    device,
    precision,
    offline,
    maxBatchFrames: recipe.max_batch_frames,
    deterministic,
    log,
    signal,
    onProgress: (message, done, total) =>
      onEvent?.({
        event: 'loading',
        message,
        ...(done === undefined ? {} : { done }),
        ...(total === undefined ? {} : { total }),
      }),
  };
}
