import { describe, expect, it } from 'vitest';
import { isFailure, type ScoreResult } from '../../../src/api/result.js';
import type { Scorer, ScorerOptions } from '../../../src/recipes/score/scorer.js';
import { CHAT_MODEL, chatScorer, TOKENS } from './fake-chat-scorer.js';
import { picture } from './fake-scorer.js';

async function resultOf(scorer: Scorer, kind: 'image' | 'video' = 'image'): Promise<ScoreResult> {
  const outcome = await scorer.score(picture('a', kind), { task: 'quality' });
  if (isFailure(outcome)) throw new Error(outcome.error.message);
  return outcome;
}

describe('a chat model', () => {
  it('gets the message, the stem and the picture at its own shape, and no warm-up', async () => {
    const { scorer, seen } = await chatScorer();
    const result = await resultOf(scorer);
    const question = {
      text: '<|image|>How would you rate the quality of this image?',
      stem: 'The quality of the image is',
    };
    expect(seen.engineCalls).toEqual([{ frames: 1, prompts: [question] }]);
    expect([seen.shapes, seen.warmUp]).toEqual([[{ width: 96, height: 64 }], undefined]);
    expect(seen.prepared[0]).toMatchObject({ preparation: CHAT_MODEL.preparation });
    expect(result.prompt).toEqual({ name: 'chat', ...question, rendered: '<user>…', level_tokens: TOKENS });
    expect(result.model).toMatchObject({
      family: 'qwen3_5',
      processor: CHAT_MODEL.processor,
      processing_sha256: CHAT_MODEL.processing_sha256,
    });
    expect(result.model.taught).toBeUndefined();
    expect(result.preprocessing).toEqual({
      size: 4096,
      form: 'smart',
      multiple: 32,
      min_pixels: 65_536,
      max_pixels: 16_777_216,
      clip_long_side: 448,
      resize: 'pillow-bicubic',
      auto_orient: false,
      fps: null,
      max_frames: 8,
      frame_rule: 'eight',
    });
    expect([result.level, result.warnings]).toEqual(['good', []]);
  });

  it('is marked if it was not taught to rate', async () => {
    const { scorer } = await chatScorer({ model: 'hf:someone/their-vlm' });
    expect((await resultOf(scorer)).model.taught).toBe(false);
  });

  it('gets clips as a whole, with eight frames or the asked rule, and at most 64', async () => {
    const { scorer, seen } = await chatScorer();
    await resultOf(scorer, 'video');
    expect(seen.shapes).toEqual([true]);
    expect(seen.prepared[0]).toMatchObject({ frameRule: 'eight', maxFrames: 8 });
    const auto = await chatScorer({ frameRule: 'auto' });
    await resultOf(auto.scorer, 'video');
    expect(auto.seen.prepared[0]).toMatchObject({ frameRule: 'auto', maxFrames: 64 });
    const fps = await chatScorer({ fps: 2, maxFrames: 5 });
    await resultOf(fps.scorer, 'video');
    expect(fps.seen.prepared[0]).toMatchObject({ frameRule: 'auto', maxFrames: 5, fps: 2 });
    await expect(chatScorer({ maxFrames: 65 })).rejects.toThrow(/takes at most 64 frames/);
  });

  it('gets the frames of clips, but no pictures, reduced to the side of its description', async () => {
    const { scorer, seen } = await chatScorer();
    const [clip, image] = [await resultOf(scorer, 'video'), await resultOf(scorer)];
    expect(seen.prepared.map(({ preparation }) => preparation)).toEqual([
      { ...CHAT_MODEL.preparation, long_side: 448 },
      CHAT_MODEL.preparation,
    ]);
    expect([clip, image].map(({ preprocessing }) => preprocessing.clip_long_side)).toEqual([448, 448]);
    const other = await chatScorer({ model: 'hf:someone/their-vlm' });
    const plain = await resultOf(other.scorer, 'video');
    expect(other.seen.prepared[0]!.preparation).toEqual(CHAT_MODEL.preparation);
    expect(plain.preprocessing).not.toHaveProperty('clip_long_side');
    expect(plain.score_version).not.toBe(clip.score_version);
  });

  it('has another score_version for other processing, pixel bounds, tokens or stems', async () => {
    const versionOf = async (options: ScorerOptions, model = CHAT_MODEL): Promise<string> =>
      (await chatScorer(options, model)).scorer.scoreVersion;
    const versions = [
      await versionOf({}),
      await versionOf({}, { ...CHAT_MODEL, processing_sha256: 'ef'.repeat(32) }),
      await versionOf({}, { ...CHAT_MODEL, preparation: { kind: 'native' } }),
      await versionOf(
        {},
        {
          ...CHAT_MODEL,
          preparation: { kind: 'smart', multiple: 32, min_pixels: 65_536, max_pixels: 200_704 },
        },
      ),
      await versionOf({ model: 'q-sit', prompt: 'chat' }),
      await versionOf({ prompt: 'q-realign-repo' }),
    ];
    expect(new Set(versions).size).toBe(versions.length);
    // its words differ from those of `chat` only in the placeholders
    const [readme, chat] = await Promise.all(
      ['q-realign-readme', 'chat'].map(async (prompt) => resultOf((await chatScorer({ prompt })).scorer)),
    );
    expect(readme?.prompt.text).toBe(chat?.prompt.text);
  });

  it('refuses maps, curves and prompts of the first backend, and says what to do', async () => {
    const { scorer } = await chatScorer();
    await expect(scorer.score('a', { map: true })).rejects.toThrow(/no quality maps.*leave out --map/);
    await expect(scorer.score('a', { perFrame: true })).rejects.toThrow(/no frame curves.*leave out --per-frame/);
    await expect(scorer.score('a', { prompt: 'default' })).rejects.toThrow(/needs a question and a stem/);
    await expect(chatScorer({ prompt: 'default' })).rejects.toThrow(/needs a question and a stem/);
    expect(await scorer.score(picture('a'), { map: false, task: 'quality' })).toMatchObject({ level: 'good' });
  });

  it('keeps fewer large pictures in flight', async () => {
    expect((await chatScorer()).scorer.width()).toBe(21); // 1 GiB of pictures of 16 megapixels
    const native = await chatScorer({}, { ...CHAT_MODEL, preparation: { kind: 'native' } });
    expect(native.scorer.width()).toBe(29);
  });
});
