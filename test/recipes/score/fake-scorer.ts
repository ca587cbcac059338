import { isFailure, type ScoreOutcome, type ScoreResult } from '../../../src/api/result.js';
import type { ChatPrompt } from '../../../src/engine/index.js';
import type { ClipReader, PreparedMedia } from '../../../src/media/preparer.js';
import { createScorerFrom } from '../../../src/recipes/score/score.js';
import { planWindows } from '../../../src/scoring/quality-map.js';
import type {
  Scorer,
  ScorerOptions,
  ScorerParts,
  ScoreSource,
  ScoringEngine,
  ScoringPreparer,
} from '../../../src/recipes/score/scorer.js';
import { QalignError } from '../../../src/base/errors.js';

export interface FakeLog {
  engineCalls: { frames: number; prompts: (string | ChatPrompt)[] }[];
  closed: number;
}

/** The model info of the fake engine. */
export const FAKE_MODEL = {
  id: 'fake',
  revision: 'local',
  weights_sha256: 'ab'.repeat(32),
  precision: 'fp32',
  device: 'cpu',
  image_size: 4,
  parameters: 1,
};

/** Parts without Python: the first byte of the picture is the logit of "excellent". */
export function fakeParts(
  log: FakeLog,
  overrides: Partial<ScoringEngine> = {},
  prepare?: (source: ScoreSource) => Promise<PreparedMedia>,
): ScorerParts {
  const engine: ScoringEngine = {
    model: FAKE_MODEL,
    async score({ visuals, prompts }) {
      log.engineCalls.push({ frames: visuals[0]?.frames ?? 0, prompts });
      return prompts.map(() => ({ logits: [visuals[0]?.data[0] ?? 0, 0, 0, 0, 0], logSumExp: 300 }));
    },
    async scoreClip({ frames, prompts, framePrompts, chunks }, options) {
      const visuals: { frames: number; data: Uint8Array }[] = [];
      for await (const chunk of chunks(frames)) visuals.push(chunk);
      const answers = await engine.score({ visuals, prompts: [...prompts] }, options);
      // the first byte of the first frame of a range, as in `score`
      const of = ([from]: readonly [number, number]): number =>
        visuals[0]?.data[from * FAKE_MODEL.image_size ** 2 * 3] ?? 0;
      for (const { text, frames: range } of framePrompts?.(visuals[0]?.frames ?? 0) ?? []) {
        log.engineCalls.push({ frames: range[1] - range[0], prompts: [text] });
        answers.push({ logits: [of(range), 0, 0, 0, 0], logSumExp: 300 });
      }
      return answers;
    },
    close: async () => {
      log.closed += 1;
    },
    ...overrides,
  };
  const prepared = (source: unknown): Promise<PreparedMedia> => (prepare ?? fakePrepare)(source as ScoreSource);
  return {
    createEngine: async () => engine,
    createPreparer: () => ({
      prepare: prepared,
      windows: fakeWindows(prepared),
      open: async (source) => reader(await prepared(source)),
      close: async () => {},
    }),
    toSource: async (input) => picture(typeof input === 'string' ? input : '<bytes>'),
  };
}

/** Windows of 4 pixels; the first byte of a window is its index, and that of the picture is as without a map. */
function fakeWindows(prepared: (source: unknown) => Promise<PreparedMedia>): ScoringPreparer['windows'] {
  return async (source, { size, from, count, map }) => {
    const { data: whole, width, height, warnings } = await prepared(source);
    const plan = planWindows(width, height, size, map);
    const indices = Array.from({ length: plan.xs.length * plan.ys.length }, (_, i) => i).slice(from, from + count);
    const windows = indices.map((i) => Buffer.alloc(whole.length, i));
    const data = new Uint8Array(Buffer.concat(from === 0 ? [whole, ...windows] : windows));
    return { plan, data, original: { width, height }, warnings };
  };
}

function reader({ frames, data, width, height, frameRule, warnings }: PreparedMedia): ClipReader {
  return {
    frames,
    width,
    height,
    frameRule: frameRule ?? 'published',
    warnings,
    times: Array.from({ length: frames }, (_, i) => i),
    async *chunks() {
      yield { frames, data };
    },
    close: async () => {},
  };
}

async function fakePrepare(source: ScoreSource): Promise<PreparedMedia> {
  if (source.input.includes('bad')) throw new QalignError('MEDIA_CORRUPT', `${source.input} is damaged.`);
  const frames = source.kind === 'video' ? 3 : 1;
  return {
    frames,
    width: 640,
    height: 480,
    ...(source.kind === 'video' ? { frameRule: 'published' as const } : {}),
    data: new Uint8Array(frames * 48).fill(source.input.length),
    warnings: source.kind === 'video' ? ['short'] : [],
  };
}

export function picture(input: string, kind: 'image' | 'video' = 'image'): ScoreSource {
  return { input, kind, media: input };
}

export async function fakeScorer(
  options: ScorerOptions = {},
  log: FakeLog = { engineCalls: [], closed: 0 },
): Promise<Scorer> {
  return createScorerFrom(fakeParts(log), { ...options, model: options.model ?? 'tiny-untrained' });
}

/** The prompts of pictures and of clips, as compact files store them; there is one task. */
export const promptsOf = (outcomes: readonly ScoreOutcome[]): unknown[] =>
  (['image', 'video'] as const).map((kind) => {
    const found = outcomes.find((one): one is ScoreResult => !isFailure(one) && one.kind === kind)!;
    return { task: found.task, kind, prompt: found.prompt };
  });
