import { QalignError } from '../../base/errors.js';
import { decimal, markdownTable, signed, withInterval } from '../../report/text.js';
import { RESAMPLED } from '../../scoring/statistics/bootstrap.js';
import type { MetricsOptions } from '../../scoring/statistics/metrics.js';
import { compareModels, type Comparison } from '../../scoring/statistics/significance.js';
import { measurePredictions, scoredRows, type DatasetMeasures, type Rule } from './measure.js';
import { NO_LEVEL, readPredictions, type PredictionTable } from './predictions.js';

/** Metrics of a predictions file. */
export interface FileEvaluation extends DatasetMeasures {
  /** Path of the file. */
  readonly file: string;
  /** Name, directory or hub id of the model that predicted. */
  readonly model: string;
  /** True if the weights of the model are random. */
  readonly untrained: boolean;
  /** Hash of everything that determines a score. */
  readonly score_version: string;
}

/** Options of `evaluatePredictions` and `comparePredictions`. */
export interface FileOptions extends MetricsOptions {
  /**
   * How scores are computed from the logits: of the five level words, or of good and poor only.
   * @default 'levels'
   */
  readonly rule?: Rule | undefined;
  /** Maximum number of records without a prediction; default 0. */
  readonly allowFailures?: number | undefined;
}

/**
 * Computes the metrics of a predictions file, without a model.
 * @throws QalignError EVALUATION_FAILED if the file is not complete
 * @example
 * ```ts
 * const { metrics } = await evaluatePredictions('evaluations/koniq/predictions/koniq.jsonl');
 * console.log(metrics.srcc, metrics.intervals.srcc);
 * ```
 */
export async function evaluatePredictions(file: string, options: FileOptions = {}): Promise<FileEvaluation> {
  const table = await readPredictions(file);
  requireAll(file, table, options.allowFailures ?? 0);
  const { model, score_version } = table.header;
  return {
    file,
    model: model.id,
    untrained: model.untrained,
    score_version,
    ...measurePredictions(table, scoredRows(table, options.rule ?? 'levels'), options),
  };
}

/**
 * Compares two models on the same records by the paired bootstrap. Only records that both predicted are used.
 * @param first predictions file of the first model
 * @param second predictions file of the second model
 * @throws QalignError RESUME_MISMATCH if the records differ; PREDICTIONS_DAMAGED; EVALUATION_FAILED if a file is not
 * complete
 * @example
 * ```ts
 * const { differences } = await comparePredictions('a/predictions/koniq.jsonl', 'b/predictions/koniq.jsonl');
 * console.log(differences.srcc);
 * ```
 */
export async function comparePredictions(
  first: string,
  second: string,
  options: FileOptions = {},
): Promise<Comparison & { readonly records: number; readonly models: readonly [string, string] }> {
  const [a, b] = [await readPredictions(first), await readPredictions(second)];
  if (a.header.records_sha256 !== b.header.records_sha256)
    throw new QalignError(
      'RESUME_MISMATCH',
      `${first} (${a.header.dataset}) and ${second} (${b.header.dataset}) have different records or labels; compare predictions of the same record file.`,
    );
  for (const [file, table] of [
    [first, a],
    [second, b],
  ] as const)
    requireAll(file, table, options.allowFailures ?? 0);
  const rule = options.rule ?? 'levels';
  const both = Array.from(a.state.keys()).filter((i) => a.state[i] === 1 && b.state[i] === 1);
  const pick = (table: PredictionTable): Float64Array => {
    const rows = scoredRows(table, rule);
    const place = new Map(Array.from(rows.index, (row, k) => [row, k]));
    return Float64Array.from(both, (i) => rows.scores[place.get(i)!]!);
  };
  const named = both.every((i) => a.mosLevel[i] !== NO_LEVEL);
  const levels = named
    ? {
        first: both.map((i) => a.level[i]!),
        second: both.map((i) => b.level[i]!),
        actual: both.map((i) => a.mosLevel[i]!),
      }
    : undefined;
  const comparison = compareModels(
    { mos: both.map((i) => a.mos[i]!), first: pick(a), second: pick(b), groups: both.map((i) => a.groups[i]!), levels },
    options,
  );
  return { ...comparison, records: a.header.n, models: [a.header.model.id, b.header.model.id] };
}

export function comparisonMarkdown({
  models,
  n,
  records,
  first,
  second,
  differences,
}: Awaited<ReturnType<typeof comparePredictions>>): string {
  const rows = RESAMPLED.map((name) => {
    const difference = differences[name];
    return [
      name,
      decimal(first[name]),
      decimal(second[name]),
      difference === null
        ? '–'
        : `${signed(difference.difference)} ${withInterval(null, difference.interval).slice(2)}`,
      decimal(difference?.p, 3),
    ];
  });
  return `${markdownTable(['', models[0], models[1], 'difference', 'p'], rows)}\n\nn = ${n} of ${records}. Two-sided paired bootstrap by source image. Brackets: 95 % intervals of the difference.\n`;
}

function requireAll(file: string, table: PredictionTable, allowed: number): void {
  const there = table.state.reduce((sum, state) => sum + (state === 1 ? 1 : 0), 0);
  if (table.header.n - there > allowed)
    throw new QalignError(
      'EVALUATION_FAILED',
      `${file} has ${there} of ${table.header.n} predictions (${table.failures.size} failed); run the evaluation again to complete it, or use --allow-failures ${table.header.n - there}.`,
    );
}
