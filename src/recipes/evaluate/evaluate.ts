import { basename, join, resolve } from 'node:path';
import { EvaluateRecipe } from '../../config/evaluate.js';
import { checkConfig, type DeepReadonly } from '../../config/load.js';
import { writeWhole } from '../../base/files/whole-file.js';
import { QalignError } from '../../base/errors.js';
import type { Logger } from '../../base/logger.js';
import { withExclusiveFile } from '../../base/files/exclusive-file.js';
import { provenance, type Provenance } from '../../base/provenance.js';
import { createScorer } from '../score/create-scorer.js';
import type { Scorer, ScorerOptions } from '../score/score.js';
import {
  combineScorers,
  fitCalibrationFile,
  reportCalibration,
  validationOf,
  type CalibrationFile,
  type CalibrationReport,
  type EnsembleReport,
  type NamedRows,
} from './combine.js';
import { assess, rowsOf, type Assessment } from './measure.js';
import { evaluationMarkdown } from './markdown.js';
import { evaluationPage } from './evaluation-page.js';
import { predict, type PredictProgress } from './predict.js';
import { readPredictions, type PredictionHeader } from './predictions.js';
import { checkReady, describeMissing } from './ready.js';
import type { RecordSet } from './records.js';

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

export interface EvaluateOptions {
  readonly log?: Logger | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onEvent?: ((event: EvaluateEvent) => void) | undefined;
  /** Where predictions and reports lie; `evaluations/<name>` by default. A folder of the same recipe is continued. */
  readonly out?: string | undefined;
  /** For tests and for callers with a model at hand. Without it one is loaded, and closed at the end. */
  readonly createScorer?: ((options: ScorerOptions) => Promise<Scorer>) | undefined;
}

/** One data set of an evaluation. Serialised as it is. */
export interface DatasetResult extends Assessment {
  readonly predictions: string;
  readonly paper: { readonly srcc: number; readonly plcc: number; readonly source: string } | null;
  readonly calibration: CalibrationReport | null;
}

export interface EvaluateResult {
  readonly name: string;
  readonly folder: string;
  readonly model: PredictionHeader['model'];
  readonly prompt: PredictionHeader['prompt'];
  readonly score_version: string;
  readonly rule: 'levels' | 'two_words';
  readonly ensemble: EnsembleReport | null;
  readonly datasets: readonly DatasetResult[];
  readonly provenance: Provenance;
  readonly recipe: DeepReadonly<EvaluateRecipe>;
}

/** What is drawn, beside what is serialised. */
export interface Drawn {
  readonly result: DatasetResult;
  readonly named: NamedRows;
  readonly media: readonly string[];
}

/**
 * Evaluates a checkpoint on data sets: predicts what is not predicted yet, then computes every metric and writes
 * `evaluation.json`, `evaluation.md` and `report.html` into the folder. The same call after a kill goes on where it
 * ended and ends in the same table.
 *
 * @throws QalignError CONFIG_INVALID; EVALUATION_NOT_READY with everything that is missing and how to get it;
 * EVALUATION_FAILED when more items failed than `allow_failures`; RESUME_MISMATCH, PREDICTIONS_DAMAGED, CANCELLED
 */
export async function evaluate(values: unknown, options: EvaluateOptions = {}): Promise<EvaluateResult> {
  const recipe = checkConfig(EvaluateRecipe, values, 'the recipe');
  requireDistinct('data', recipe.data);
  const { missing, sets } = await checkReady(recipe);
  if (missing.length > 0)
    throw new QalignError(
      'EVALUATION_NOT_READY',
      `${recipe.name} cannot be evaluated on this machine:\n${describeMissing(missing)}`,
    );
  return (await evaluateDrawn(recipe, sets, options)).result;
}

/**
 * The same for records that are at hand already, with what pages draw. One process at a time in a folder; others wait.
 */
export async function evaluateDrawn(
  recipe: DeepReadonly<EvaluateRecipe>,
  sets: readonly RecordSet[],
  options: EvaluateOptions,
): Promise<{ result: EvaluateResult; drawn: readonly Drawn[] }> {
  const folder = resolve(options.out ?? join('evaluations', recipe.name));
  const onWait = (pid: number): void =>
    options.onEvent?.({ event: 'loading', message: `waiting for process ${pid}, which evaluates in ${folder}` });
  return withExclusiveFile(
    join(folder, '.lock'),
    async () => {
      await predictAll(recipe, sets, folder, options);
      return assessFolder(recipe, sets, folder, options);
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
        onProgress: (progress) => options.onEvent?.({ event: 'predicting', ...progress }),
      });
    }
  } finally {
    await scorer.close();
  }
}

export function predictionsPath(folder: string, dataset: string): string {
  return join(folder, 'predictions', `${dataset}.jsonl`);
}

async function assessFolder(
  recipe: DeepReadonly<EvaluateRecipe>,
  sets: readonly RecordSet[],
  folder: string,
  { onEvent }: EvaluateOptions,
): Promise<{ result: EvaluateResult; drawn: readonly Drawn[] }> {
  const raw: NamedRows[] = [];
  for (const { name } of sets) {
    const table = await readPredictions(predictionsPath(folder, name));
    const rows = rowsOf(table, recipe.rule);
    requireComplete(
      name,
      rows.index.length,
      table.header.n,
      [...table.failures.values()],
      recipe.allow_failures,
      folder,
    );
    raw.push({ name, table, rows });
  }
  const { all, report } = await combineScorers(recipe, raw);
  const calibration =
    recipe.calibration === null
      ? undefined
      : fitCalibrationFile(
          validationOf(recipe, all, recipe.calibration.fit_on, 'calibration.fit_on'),
          recipe.calibration.method,
          recipe.ensemble !== null ? 'ensemble' : recipe.rule,
        );
  const drawn = recipe.data.flatMap((entry): Drawn[] => {
    const named = all.find(({ name }) => name === entry.name);
    if (named === undefined || entry.role === 'validation') return [];
    const assessment = assess(named.table, named.rows, recipe.bootstrap);
    const { n, srcc, plcc } = assessment.metrics;
    onEvent?.({ event: 'evaluated', dataset: named.name, n, srcc, plcc });
    const result = {
      ...assessment,
      predictions: predictionsPath(folder, named.name),
      paper: entry.paper,
      calibration: calibration === undefined ? null : reportCalibration(calibration, named),
    };
    return [{ result, named, media: sets.find(({ name }) => name === entry.name)!.media }];
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
    datasets: drawn.map((one) => one.result),
    provenance: await provenance(),
    recipe,
  };
  await writeAll(folder, result, drawn, calibration);
  return { result, drawn };
}

async function writeAll(
  folder: string,
  result: EvaluateResult,
  drawn: readonly Drawn[],
  calibration: CalibrationFile | undefined,
): Promise<void> {
  if (calibration !== undefined)
    await writeWhole(join(folder, 'calibration.json'), `${JSON.stringify(calibration, null, 1)}\n`);
  // without the place it lies at: a copy, or the same evaluation elsewhere, is the same file
  const { folder: _place, ...rest } = result;
  const datasets = result.datasets.map((one) => ({ ...one, predictions: `predictions/${basename(one.predictions)}` }));
  await writeWhole(join(folder, 'evaluation.json'), `${JSON.stringify({ ...rest, datasets }, null, 1)}\n`);
  await writeWhole(join(folder, 'evaluation.md'), evaluationMarkdown(result));
  await writeWhole(join(folder, 'report.html'), await evaluationPage(result, drawn));
}

/** Names become files and columns. */
function requireDistinct(where: string, entries: readonly { readonly name: string }[]): void {
  const twice = entries.find(
    ({ name }, i) => entries.findIndex((other) => other.name.toLowerCase() === name.toLowerCase()) < i,
  );
  if (twice !== undefined)
    throw new QalignError(
      'CONFIG_INVALID',
      `${where} has two entries named ${twice.name}; give each a name of its own.`,
    );
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
        `Every one of the ${records} items of ${name} failed, so there is nothing to evaluate; the first: ${failed[0]?.error.message ?? 'not predicted'}`,
      );
    return;
  }
  const shown = failed
    .slice(0, 5)
    .map(({ id, error }) => `  ${id}: ${error.message} [${error.code}]`)
    .join('\n');
  throw new QalignError(
    'EVALUATION_FAILED',
    `${records - n} of ${records} items of ${name} have no prediction, and allow_failures is ${allowed}:\n${shown}\nMend them and run the same command again (what was predicted stays in ${folder}), or allow them with allow_failures=${records - n}.`,
  );
}

function scorerOptions(recipe: DeepReadonly<EvaluateRecipe>, { log, signal, onEvent }: EvaluateOptions): ScorerOptions {
  const { model, base, revision, prompt, device, precision, offline, max_batch_frames: maxBatchFrames } = recipe;
  return {
    model,
    base: base ?? undefined,
    revision: revision ?? undefined,
    prompt: prompt ?? undefined,
    device,
    precision,
    offline,
    maxBatchFrames,
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
