import type { DatasetRecord } from '../../bridge/protocol/record.js';
import { QalignError } from '../base/errors.js';
import type { Kind, Task } from '../prompts/subject.js';
import { plcc, srcc } from '../scoring/statistics/correlation.js';
import { levelFinder, levelValue, scoreRange, type LevelRule, type ScoreRange } from '../scoring/level-conversion.js';
import { softLabel, type SoftLabelRule } from '../scoring/soft-labels.js';
import { DuplicateWatch } from './duplicates.js';
import { GrowingDoubles } from './growing-doubles.js';
import { questionPicker } from './questions.js';
import type { Rating, RatingScan } from './rating.js';

/** All settings of a conversion from ratings to records. */
export interface Conversion {
  readonly dataset: string;
  readonly kind: Kind;
  readonly task: Task;
  readonly rule: LevelRule;
  /** Whether the range is computed over all rows or over each split. */
  readonly over: 'all' | 'split';
  /** Ranges of single splits, instead of the range of the rule. */
  readonly splitRanges: Readonly<Record<string, readonly [number, number]>>;
  readonly softLabels: SoftLabelRule | undefined;
  /**
   * If true, a row without a standard deviation is an error. If false, such a row means that no record gets soft
   * labels.
   */
  readonly softLabelsRequired: boolean;
  /** Standard deviation of the ratings for rows without one, in units of the MOS. */
  readonly assumedStd: number | undefined;
  /**
   * Scale of soft labels and score texts. Undefined: from the lowest to the highest MOS of all rows, as in DeQA-Score.
   */
  readonly scale: ScoreRange | undefined;
  /** Write answers with the MOS on 1–5 with two digits instead of a level (Table 11 of the paper). */
  readonly scoreText: boolean;
  readonly questions: readonly string[];
  readonly seed: number;
  /** Write only this split. Ranges are still computed by the rule. */
  readonly split: string | undefined;
  /** Returns the media path of a record; undefined drops the rating. */
  mediaOf(rating: Rating): Promise<string | undefined> | string | undefined;
}

export interface SplitSummary {
  /** Number of rows of the split in the label files. */
  n_all: number;
  /** Number of records written. */
  n: number;
  dropped_outside: number;
  dropped_media: number;
  range: [min: number, max: number];
  /** Number of records by level, best first. */
  levels: Record<string, number>;
  /** SRCC of the level values and the MOS over the records written; null if undefined. */
  srcc: number | null;
  plcc: number | null;
  /** Share of the records with a standard deviation in the label files, 0 to 1. */
  std_coverage: number;
}

export interface ConversionSummary {
  /** Name of the dataset. */
  dataset: string;
  /** Label files that were read. */
  files: string[];
  /** Ratings that were read. */
  n_all: number;
  /** Records that were written. */
  n: number;
  /** Spearman correlation of the levels with the ratings; null if undefined. */
  srcc: number | null;
  /** Pearson correlation of the levels with the ratings; null if undefined. */
  plcc: number | null;
  /** Rule of the soft labels that was used. */
  soft_labels: 'exact' | 'published' | 'none';
  /** Lowest and highest MOS of the scale of soft labels and score texts. */
  scale: [min: number, max: number];
  /** Counts and range of each split. */
  splits: Record<string, SplitSummary>;
}

/**
 * Receives records in the order of the files. `rating` has the digits of the source, which the record does not have.
 */
export type RecordSink = (record: DatasetRecord, rating: Rating) => Promise<void> | void;

interface Bin {
  readonly range: ScoreRange;
  readonly find: (score: number) => number | undefined;
  readonly summary: SplitSummary;
  readonly mos: GrowingDoubles;
  readonly values: GrowingDoubles;
  withStd: number;
}

/**
 * Converts ratings to records in two passes. The first pass reads the scores for the ranges, the second writes the
 * records. Memory is a few doubles per row.
 * @throws QalignError DATASET_DUPLICATE, DATASET_EMPTY, DATASET_VALUE; all errors of the scan
 */
export async function convertRatings(
  scan: RatingScan,
  given: Conversion,
  sink: RecordSink,
): Promise<ConversionSummary> {
  const { scores, extremes, files, allHaveStd } = await firstPass(scan);
  const plan =
    given.softLabels !== undefined && !given.softLabelsRequired && given.assumedStd === undefined && !allHaveStd
      ? { ...given, softLabels: undefined }
      : given;
  const bins = new Map<string, Bin>();
  const all = plan.over === 'all' ? joined(scores) : undefined;
  for (const [split, values] of scores) bins.set(split, binOf(plan, split, all ?? values.view(), values.length));
  const scale = plan.scale ?? extremes;
  const toRecord = recordMaker(plan, scale);
  const next = questionPicker(plan.questions, plan.seed);

  for await (const batch of scan()) {
    for (const rating of batch) {
      if (plan.split !== undefined && rating.split !== plan.split) continue;
      const bin = bins.get(rating.split)!;
      const level = bin.find(rating.mos);
      if (level === undefined) {
        bin.summary.dropped_outside++;
        continue;
      }
      const found = plan.mediaOf(rating);
      const media = typeof found === 'object' ? await found : found;
      if (media === undefined) {
        bin.summary.dropped_media++;
        continue;
      }
      count(bin, plan, rating, level);
      const written = sink(toRecord(rating, level, media, next()), rating);
      if (written !== undefined) await written;
    }
  }
  return summarise(plan, bins, files, scale);
}

async function firstPass(
  scan: RatingScan,
): Promise<{ scores: Map<string, GrowingDoubles>; extremes: ScoreRange; files: string[]; allHaveStd: boolean }> {
  const scores = new Map<string, GrowingDoubles>();
  const files = new Set<string>();
  const names = new DuplicateWatch();
  let min = Infinity;
  let max = -Infinity;
  let allHaveStd = true;
  for await (const batch of scan()) {
    for (const { split, mos, std, name, file } of batch) {
      let values = scores.get(split);
      if (values === undefined) scores.set(split, (values = new GrowingDoubles()));
      values.push(mos);
      names.see(name);
      files.add(file);
      if (std === undefined) allHaveStd = false;
      if (mos < min) min = mos;
      if (mos > max) max = mos;
    }
  }
  if (scores.size === 0)
    throw new QalignError('DATASET_EMPTY', 'The label files have no ratings; check that they are complete.');
  await names.check(scan);
  return { scores, extremes: { min, max }, files: [...files], allHaveStd };
}

function joined(scores: ReadonlyMap<string, GrowingDoubles>): Float64Array {
  const parts = [...scores.values()];
  const all = new Float64Array(parts.reduce((n, part) => n + part.length, 0));
  parts.reduce((at, part) => (all.set(part.view(), at), at + part.length), 0);
  return all;
}

function binOf(plan: Conversion, split: string, scores: Float64Array, rows: number): Bin {
  const wanted = plan.splitRanges[split] ?? plan.rule.range;
  let range: ScoreRange;
  try {
    range = scoreRange(scores, wanted);
  } catch (cause) {
    throw new QalignError(
      'DATASET_VALUE',
      `The scores of ${plan.dataset}, split ${split}, cannot be divided into levels: ${(cause as Error).message}.`,
      { cause },
    );
  }
  const levels = Object.fromEntries(plan.rule.names.map((name) => [name, 0]));
  const summary: SplitSummary = {
    n_all: rows,
    n: 0,
    dropped_outside: 0,
    dropped_media: 0,
    range: [range.min, range.max],
    levels,
    srcc: null,
    plcc: null,
    std_coverage: 0,
  };
  // trimming a small set cuts nothing, so the range is closed; a half-open range would drop the best picture
  const untrimmed = wanted === 'trimmed' && scores.length < 1000;
  const rule: LevelRule = { ...plan.rule, range: wanted, ends: untrimmed ? 'closed' : plan.rule.ends };
  return {
    range,
    find: levelFinder(rule, range),
    summary,
    mos: new GrowingDoubles(),
    values: new GrowingDoubles(),
    withStd: 0,
  };
}

function count(bin: Bin, plan: Conversion, { mos, std }: Rating, level: number): void {
  bin.summary.n++;
  bin.summary.levels[plan.rule.names[level]!]!++;
  bin.mos.push(mos);
  bin.values.push(levelValue(level, plan.rule.names.length));
  if (std !== undefined) bin.withStd++;
}

function recordMaker(
  plan: Conversion,
  scale: ScoreRange,
): (rating: Rating, level: number, media: string, question: string) => DatasetRecord {
  const { dataset, kind, task, rule } = plan;
  const answerOf = (said: string): string => `The ${task} of the ${kind} is ${said}.`;
  const answers = rule.names.map(answerOf);
  /** Clips scores to the ends of the scale. */
  const onScale = (mos: number): number => Math.min(scale.max, Math.max(scale.min, mos));
  return (rating, level, media, question) => {
    const { name, mos, split, group, file, row } = rating;
    const std = rating.std ?? plan.assumedStd;
    const answer = plan.scoreText
      ? answerOf(((4 * (onScale(mos) - scale.min)) / (scale.max - scale.min) + 1).toFixed(2))
      : answers[level]!;
    // optional fields are assigned below, because object spreads would take more time than the rest of a record
    const record: DatasetRecord = {
      id: name,
      media,
      kind,
      task,
      dataset,
      mos,
      level: rule.names[level]!,
      question,
      answer,
      split,
      source: { file, row },
    };
    if (std !== undefined) record.mos_std = std;
    if (plan.softLabels !== undefined)
      record.level_probs = softProbs(rating, onScale(mos), std, scale, rule.names.length, plan.softLabels);
    if (group !== undefined) record.group = group;
    return record;
  };
}

function softProbs(
  { file, row }: Rating,
  mos: number,
  std: number | undefined,
  scale: ScoreRange,
  levels: number,
  rule: SoftLabelRule,
): number[] {
  if (std === undefined)
    throw new QalignError(
      'DATASET_VALUE',
      `${file}:${row}: soft labels need the standard deviation of the ratings, which this row lacks; name its column, use --std, or omit soft labels.`,
    );
  return softLabel(mos, std, scale, levels, rule);
}

function summarise(
  plan: Conversion,
  bins: ReadonlyMap<string, Bin>,
  files: string[],
  scale: ScoreRange,
): ConversionSummary {
  const wanted = [...bins].filter(([split]) => plan.split === undefined || split === plan.split);
  if (wanted.length === 0)
    throw new QalignError(
      'DATASET_EMPTY',
      `${plan.dataset} has no split "${plan.split}"; its splits are ${[...bins.keys()].join(', ')}.`,
    );
  const orNull = (value: number): number | null => (Number.isNaN(value) ? null : value);
  const mos = new Map(wanted.map(([split, bin]) => [split, bin.mos]));
  const values = new Map(wanted.map(([split, bin]) => [split, bin.values]));
  for (const [, bin] of wanted) {
    bin.summary.srcc = orNull(srcc(bin.values.view(), bin.mos.view()));
    bin.summary.plcc = orNull(plcc(bin.values.view(), bin.mos.view()));
    bin.summary.std_coverage = bin.summary.n === 0 ? 0 : bin.withStd / bin.summary.n;
  }
  const [only] = wanted;
  const whole =
    wanted.length === 1
      ? only![1].summary
      : { srcc: orNull(srcc(joined(values), joined(mos))), plcc: orNull(plcc(joined(values), joined(mos))) };
  const n = wanted.reduce((sum, [, bin]) => sum + bin.summary.n, 0);
  if (n === 0)
    throw new QalignError(
      'DATASET_EMPTY',
      `No rating of ${plan.dataset} is inside the range of its levels; change the range, or use --outside clip.`,
    );
  return {
    dataset: plan.dataset,
    files,
    n_all: wanted.reduce((sum, [, bin]) => sum + bin.summary.n_all, 0),
    n,
    srcc: whole.srcc,
    plcc: whole.plcc,
    soft_labels: plan.softLabels?.mode ?? 'none',
    scale: [scale.min, scale.max],
    splits: Object.fromEntries(wanted.map(([split, bin]) => [split, bin.summary])),
  };
}
