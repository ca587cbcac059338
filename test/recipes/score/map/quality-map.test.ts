import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { isFailure, type ScoreResult } from '../../../../src/api/result.js';
import { createScorerFrom } from '../../../../src/recipes/score/score.js';
import type { Scorer, ScoringEngine } from '../../../../src/recipes/score/scorer.js';
import { fakeParts, FAKE_MODEL, picture, type FakeLog } from '../fake-scorer.js';

const newLog = (): FakeLog => ({ engineCalls: [], closed: 0 });
const scorerWith = (log: FakeLog, engine: Partial<ScoringEngine> = {}, model = 'tiny-untrained'): Promise<Scorer> =>
  createScorerFrom(fakeParts(log, engine), { model });
/** 17 × 12 windows of the fake pictures of 640 × 480. */
const WINDOWS = { window: 80, stride: 36, max: 1024 };

async function mapped(scorer: Scorer, name: string, map: object | boolean = WINDOWS): Promise<ScoreResult> {
  const outcome = await scorer.score(picture(name), { task: 'quality', map });
  if (isFailure(outcome)) throw new Error(outcome.error.message);
  return outcome;
}

describe('a score with a map', () => {
  it('has the result without a map, and costs one item of one frame for each window', async () => {
    const log = newLog();
    const scorer = await scorerWith(log);
    const { map, ...result } = await mapped(scorer, 'one');
    const calls = log.engineCalls.length;
    expect(result).toEqual(await mapped(scorer, 'one', false));
    expect(map).toMatchObject({ scores_of: 'windows', window: 80, warnings: [] });
    expect(calls).toBe(1 + map!.xs.length * map!.ys.length);
    expect(map!.values).toHaveLength(calls - 1);
    expect(log.engineCalls.every(({ frames }) => frames === 1)).toBe(true);
    // the first byte of a window is its index, which is the logit of excellent
    expect(map!.values.slice(0, 200)).toEqual([...map!.values].slice(0, 200).sort((a, b) => a - b));
    expect(map!.values[0]).toBeCloseTo(3);
    expect(result.score).toBeGreaterThan(map!.values[0]!);
  });

  it('has a map for each task, on the scale of the scores', async () => {
    const log = newLog();
    const scorer = await scorerWith(log);
    const tasks = ['quality', 'aesthetics'] as const;
    const outcomes = (await scorer.score(picture('one'), { tasks, map: true, scale: 'unit' })) as ScoreResult[];
    expect(outcomes).toHaveLength(2);
    for (const { map } of outcomes) expect(map!.values[0]).toBeCloseTo(0.5, 9);
    expect(log.engineCalls.every(({ prompts }) => prompts.length === 2)).toBe(true);
  });

  it('has none for a clip, and fails as a whole with a window', async () => {
    const log = newLog();
    const scorer = await scorerWith(log);
    const clip = await scorer.score(picture('clip', 'video'), { task: 'quality', map: true });
    expect(clip).not.toHaveProperty('map');
    expect(await scorer.score(picture('bad'), { task: 'quality', map: true })).toMatchObject({
      error: { code: 'MEDIA_CORRUPT' },
    });
  });

  it('refuses wrong options', async () => {
    const scorer = await scorerWith(newLog());
    for (const map of [{ window: 1 }, { max: 1025 }, { stride: 1.5 }, { window: 10, stride: 11 }, { size: 4 }, 'yes'])
      await expect(scorer.score(picture('a'), { map: map as never })).rejects.toMatchObject({ code: 'USAGE' });
  });
});

describe('the windows in memory', () => {
  it('are bounded for a thousand pictures', async () => {
    let [running, most] = [0, 0];
    const scorer = await scorerWith(newLog(), {
      model: FAKE_MODEL,
      async score({ prompts }) {
        most = Math.max(most, ++running);
        await sleep(0);
        running -= 1;
        return prompts.map(() => ({ logits: [1, 0, 0, 0, 0], logSumExp: 9 }));
      },
    });
    const sources = Array.from({ length: 1000 }, (_, i) => picture(`picture-${i}`));
    let count = 0;
    for await (const outcome of scorer.scoreMany(sources, { task: 'quality', map: { window: 160, max: 40 } })) {
      expect((outcome as ScoreResult).map?.values.length).toBeGreaterThan(32);
      count += 1;
    }
    expect(count).toBe(1000);
    expect(most).toBeGreaterThan(64); // several pictures fill a batch
    expect(most).toBeLessThanOrEqual(8 * 32);
  });

  it('are no longer prepared after a cancel', async () => {
    const [log, stopping] = [newLog(), new AbortController()];
    const parts = fakeParts(log, {
      async score({ prompts }) {
        log.engineCalls.push({ frames: 1, prompts });
        if (log.engineCalls.length === 20) stopping.abort();
        return prompts.map(() => ({ logits: [1, 0, 0, 0, 0], logSumExp: 9 }));
      },
      model: FAKE_MODEL,
    });
    const scorer = await createScorerFrom(parts, { model: 'tiny-untrained' });
    const asked = scorer.score(picture('one'), { task: 'quality', map: WINDOWS, signal: stopping.signal });
    await expect(asked).rejects.toThrow();
    expect(log.engineCalls.length).toBe(33); // the picture and the first range
  });
});
