import { describe, expect, it } from 'vitest';
import { isFailure, type ScoreResult } from '../../../src/api/result.js';
import { compactLayout, emptyMeta, expandRow, withOutcome } from '../../../src/recipes/score/layout/compact.js';
import { chatScorer } from './fake-chat-scorer.js';
import { fakeScorer, picture } from './fake-scorer.js';

/** The rows of a compact file with these scores, restored by its metadata. */
function restored(scores: readonly ScoreResult[]): unknown[] {
  const meta = scores.reduce(withOutcome, emptyMeta([]));
  const layout = compactLayout(meta.defaults);
  return scores.map((one) => expandRow(JSON.parse(layout.jsonOf(one)) as Record<string, unknown>, meta)?.['prompt']);
}

describe('a compact file', () => {
  it('keeps the prompt of each task and kind', async () => {
    const scorer = await fakeScorer();
    const scores: ScoreResult[] = [];
    for await (const some of scorer.scoreMany([picture('a'), picture('b'), picture('c.mp4', 'video')], {
      tasks: ['quality', 'aesthetics'],
    }))
      scores.push(...some.filter((one): one is ScoreResult => !isFailure(one)));
    expect(new Set(scores.map(({ prompt }) => prompt.text)).size).toBeGreaterThan(2);
    expect(restored(scores)).toEqual(scores.map(({ prompt }) => prompt));
  });

  it('keeps the rendered prompts of clips with different numbers of frames', async () => {
    const { scorer } = await chatScorer({ model: 'hf:someone/their-vlm' });
    const [score] = (await scorer.score(picture('c'))) as ScoreResult[];
    const clips = [8, 12, 8].map((frames): ScoreResult => ({
      ...score!,
      kind: 'video',
      frames,
      prompt: { ...score!.prompt, rendered: '<picture>'.repeat(frames) },
    }));
    expect(clips.reduce(withOutcome, emptyMeta([])).models[0]?.prompts).toHaveLength(2);
    expect(restored(clips)).toEqual(clips.map(({ prompt }) => prompt));
  });

  it('does not restore a row whose prompt is missing', async () => {
    const scorer = await fakeScorer();
    const [score] = (await scorer.score(picture('a'))) as ScoreResult[];
    const meta = withOutcome(emptyMeta([]), { ...score!, task: 'aesthetics' });
    expect(expandRow(JSON.parse(compactLayout({}).jsonOf(score!)) as Record<string, unknown>, meta)).toBeUndefined();
  });
});
