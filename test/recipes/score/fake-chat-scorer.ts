import type { PrepareOptions } from '../../../src/media/preparer.js';
import { createScorerFrom } from '../../../src/recipes/score/score.js';
import type { Scorer, ScorerOptions, ScorerParts, ScoringModel } from '../../../src/recipes/score/scorer.js';
import { FAKE_MODEL, fakeParts, type FakeLog } from './fake-scorer.js';

/** The model info of a fake chat model. */
export const CHAT_MODEL: ScoringModel = {
  ...FAKE_MODEL,
  image_size: 4096,
  family: 'qwen3_5',
  preparation: { kind: 'smart', multiple: 32, min_pixels: 65_536, max_pixels: 16_777_216 },
  processor: 'Qwen2VLImageProcessorPil (transformers 5.24.0)',
  processing_sha256: 'cd'.repeat(32),
};
export const TOKENS = { excellent: [8800], good: [1603], fair: [6415], poor: [7604], bad: [3743] };

export interface Seen extends FakeLog {
  readonly prepared: PrepareOptions[];
  readonly shapes: unknown[];
  warmUp: unknown;
}

/** A scorer whose engine is a chat model. Frames are 96 x 64 pixels. */
export async function chatScorer(
  options: ScorerOptions = {},
  model: ScoringModel = CHAT_MODEL,
): Promise<{ scorer: Scorer; seen: Seen }> {
  const seen: Seen = { engineCalls: [], closed: 0, prepared: [], shapes: [], warmUp: 'not asked' };
  const base = fakeParts(seen, {
    model,
    async score({ visuals, prompts }) {
      seen.engineCalls.push({ frames: visuals[0]?.frames ?? 0, prompts });
      seen.shapes.push(visuals[0]?.shape);
      return prompts.map(() => ({ logits: [1, 3, 2, 0, -1], logSumExp: 9, rendered: '<user>…', levelTokens: TOKENS }));
    },
    async scoreClip(clip) {
      seen.engineCalls.push({ frames: clip.frames, prompts: [...clip.prompts] });
      seen.shapes.push(clip.isWhole);
      for await (const _ of clip.chunks(clip.frames));
      return clip.prompts.map(() => ({ logits: [1, 3, 2, 0, -1], logSumExp: 9 }));
    },
  });
  const parts: ScorerParts = {
    ...base,
    async createEngine(choice, given, warmUp) {
      seen.warmUp = warmUp;
      return base.createEngine(choice, given, warmUp);
    },
    createPreparer(given) {
      const plain = base.createPreparer(given);
      return {
        ...plain,
        async prepare(source, wanted) {
          seen.prepared.push(wanted);
          return { ...(await plain.prepare(source, wanted)), shape: { width: 96, height: 64 } };
        },
        open(source, wanted) {
          seen.prepared.push(wanted);
          return plain.open(source, wanted);
        },
      };
    },
  };
  return { scorer: await createScorerFrom(parts, { model: 'q-realign-mini', ...options }), seen };
}
