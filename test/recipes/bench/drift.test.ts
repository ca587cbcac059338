import { describe, expect, it } from 'vitest';
import { driftLimits } from '../../../src/cli/bench-drift.js';
import { compareScores, type Outcomes } from '../../../src/recipes/bench/drift.js';
import type { Level } from '../../../src/scoring/levels.js';

const outcomes = (scores: readonly (number | null)[], levels: readonly Level[] = []): Outcomes =>
  new Map(
    scores.map((score, place) => [
      String(place),
      score === null ? null : { input: `${place}.png`, task: 'quality', score, level: levels[place] ?? 'good' },
    ]),
  );

describe('drift between precisions', () => {
  it('measures differences, correlations and levels of the scores that both have', () => {
    const drift = compareScores(
      outcomes([1, 2.2, 3, 4, null], ['bad', 'poor']),
      outcomes([1, 2, 3.1, null, 5], ['bad', 'fair']),
    );
    expect(drift).toMatchObject({ scores: 3, failed: 2 });
    expect(drift.srcc).toBeCloseTo(1);
    expect(drift.level_agreement).toBeCloseTo(2 / 3);
    expect(drift.delta.max).toBeCloseTo(0.2);
    expect(drift.delta.mean).toBeCloseTo(0.1);
    expect(drift.bias).toBeCloseTo(1 / 30);
    expect(drift.worst[0]).toMatchObject({ input: '1.png', score: 2.2, against: 2 });
  });

  it('has no correlation for one score, and refuses inputs without a common score', () => {
    expect(compareScores(outcomes([3]), outcomes([3]))).toMatchObject({ srcc: null, plcc: null, bias: 0 });
    expect(() => compareScores(outcomes([null]), outcomes([3]))).toThrow(/both precisions/);
  });

  it('names each limit that is exceeded; an undefined correlation exceeds its limit', () => {
    const drift = { delta: { mean: 0, p95: 0, max: 0.06 }, srcc: null };
    expect(driftLimits(drift, 0.06, undefined)).toEqual([]);
    expect(driftLimits(drift, 0.05, 0.9)).toHaveLength(2);
  });
});
