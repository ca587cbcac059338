import type { Precision } from '../../../bridge/protocol/models.js';
import { isFailure, type ScoreResult } from '../../api/result.js';
import { QalignError } from '../../base/errors.js';
import { plcc, srcc } from '../../scoring/statistics/correlation.js';
import { mean } from '../../scoring/statistics/descriptive.js';
import { createScorer } from '../score/create-scorer.js';
import type { ScorerOptions, ScoreSource } from '../score/scorer.js';

export interface BenchDriftConfig {
  /** Its `precision` is the one under test. */
  readonly scorer: ScorerOptions;
  /** The precision to compare with. */
  readonly against: Precision;
  readonly sources: readonly ScoreSource[];
  readonly signal?: AbortSignal;
  readonly onScored?: (precision: string, done: number, total: number) => void;
}

/** One precision as it was loaded. */
export interface DriftSide {
  readonly precision: string;
  readonly score_version: string;
  readonly device: string;
  /** End to end, from files to scores, without loading the model. */
  readonly inputs_per_second: number;
}

export interface DriftItem {
  readonly input: string;
  readonly task: string;
  readonly score: number;
  readonly against: number;
  /** `score` minus `against`. */
  readonly delta: number;
}

export interface Drift {
  /** Scores that both precisions have. */
  readonly scores: number;
  /** Scores that at least one of them lacks. */
  readonly failed: number;
  /** Absolute differences of the scores, on the scale 1 to 5. */
  readonly delta: { readonly mean: number; readonly p95: number; readonly max: number };
  /** Mean of the signed differences. */
  readonly bias: number;
  /** Rank correlation between the precisions; null if it is undefined, for example for a single input. */
  readonly srcc: number | null;
  readonly plcc: number | null;
  /** Share of the scores with the same most probable level, 0 to 1. */
  readonly level_agreement: number;
  /** The largest differences, at most ten. */
  readonly worst: readonly DriftItem[];
}

export interface BenchDriftResult extends Drift {
  readonly model: string;
  readonly tested: DriftSide;
  readonly against: DriftSide;
}

/** Input and task → the fields that are compared, or null for a failure. */
export type Outcomes = ReadonlyMap<string, Pick<ScoreResult, 'input' | 'task' | 'score' | 'level'> | null>;

const WORST = 10;

/** Scores all sources in one precision after the other, so only one model is in memory, and compares the scores. */
export async function benchDrift(config: BenchDriftConfig): Promise<BenchDriftResult> {
  const tested = await scoreAll(config, config.scorer.precision ?? 'auto');
  const against = await scoreAll(config, config.against);
  if (tested.side.score_version === against.side.score_version)
    throw new QalignError(
      'USAGE',
      `Both runs had the precision ${against.side.precision}; name another one with --precision or --against.`,
    );
  const drift = compareScores(tested.outcomes, against.outcomes);
  return { model: tested.model, tested: tested.side, against: against.side, ...drift };
}

async function scoreAll(
  { scorer: options, sources, signal, onScored }: BenchDriftConfig,
  precision: Precision,
): Promise<{ model: string; side: DriftSide; outcomes: Outcomes }> {
  const cancel = signal === undefined ? {} : { signal };
  await using scorer = await createScorer({ ...options, precision, ...cancel });
  const outcomes = new Map<string, ScoreResult | null>();
  let done = 0;
  const started = performance.now();
  for await (const answers of scorer.scoreMany(sources, cancel)) {
    for (const [place, answer] of answers.entries())
      outcomes.set(`${done} ${place}`, isFailure(answer) ? null : answer);
    done += 1;
    onScored?.(scorer.model.precision, done, sources.length);
  }
  const side = {
    precision: scorer.model.precision,
    score_version: scorer.scoreVersion,
    device: scorer.model.device,
    inputs_per_second: (done * 1000) / (performance.now() - started),
  };
  return { model: scorer.model.id, side, outcomes };
}

/** @throws QalignError MEDIA_NOT_FOUND if no score exists in both */
export function compareScores(tested: Outcomes, against: Outcomes): Drift {
  const pairs = [...tested].flatMap(([key, one]) => {
    const other = against.get(key);
    return one === null || other === null || other === undefined ? [] : [{ one, other }];
  });
  if (pairs.length === 0) throw new QalignError('MEDIA_NOT_FOUND', 'No input could be scored in both precisions.');
  const items = pairs
    .map(({ one, other }) => ({
      input: one.input,
      task: one.task,
      score: one.score,
      against: other.score,
      delta: one.score - other.score,
    }))
    .sort((a, b) => Math.abs(b.delta) - Math.abs(a.delta));
  const sizes = items.map(({ delta }) => Math.abs(delta));
  const [x, y] = [pairs.map(({ one }) => one.score), pairs.map(({ other }) => other.score)];
  return {
    scores: pairs.length,
    failed: tested.size - pairs.length,
    delta: { mean: mean(sizes), p95: sizes[Math.floor(sizes.length * 0.05)] as number, max: sizes[0] as number },
    bias: mean(items.map(({ delta }) => delta)),
    srcc: pairs.length < 2 ? null : finite(srcc(x, y)),
    plcc: pairs.length < 2 ? null : finite(plcc(x, y)),
    level_agreement: mean(pairs.map(({ one, other }) => Number(one.level === other.level))),
    worst: items.slice(0, WORST),
  };
}

const finite = (value: number): number | null => (Number.isFinite(value) ? value : null);
