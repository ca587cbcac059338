import { describe, expect, it } from 'vitest';
import { Check } from 'typebox/value';
import type { EngineStats } from '../../../src/engine/index.js';
import { QalignError } from '../../../src/base/errors.js';
import {
  isFailure,
  ScoreFailureSchema,
  ScoreResultSchema,
  type ScoreOutcome,
  type ScoreResult,
} from '../../../src/api/result.js';
import { createScorerFrom } from '../../../src/recipes/score/score.js';
import type { OneTask, ScorerOptions } from '../../../src/recipes/score/scorer.js';
import { scoreVersion } from '../../../src/recipes/score/score-version.js';
import { FAKE_MODEL, fakeParts, fakeScorer, picture, type FakeLog } from './fake-scorer.js';

async function* neverEnding(): AsyncGenerator<string> {
  await new Promise(() => {});
  yield '';
}
const newLog = (): FakeLog => ({ engineCalls: [], closed: 0 });

describe('createScorer', () => {
  it('returns results in the documented form, with several tasks from one request', async () => {
    const log = newLog();
    const scorer = await fakeScorer({}, log);
    const outcomes = await scorer.score(picture('a.mp4', 'video'), { tasks: ['quality', 'aesthetics'] });
    expect(outcomes).toHaveLength(2);
    for (const outcome of outcomes) expect(Check(ScoreResultSchema, outcome)).toBe(true);
    expect(outcomes[1]).toMatchObject({
      input: 'a.mp4',
      kind: 'video',
      task: 'aesthetics',
      frames: 3,
      scale: 'mos5',
      level: 'excellent',
      preprocessing: { size: 4, fps: null },
      warnings: ['short'],
      width: 640,
      height: 480,
    });
    expect((outcomes[1] as ScoreResult).prompt.text).toContain('aesthetics of this video');
    expect(log.engineCalls).toHaveLength(1);
    expect(log.engineCalls[0]?.prompts).toHaveLength(2);
  });

  it('returns a failure for a bad input and scores the rest, in order', async () => {
    const scorer = await fakeScorer();
    const all: ScoreOutcome[] = [];
    for await (const outcomes of scorer.scoreMany(['a', 'bad', 'ccc'].map((name) => picture(name))))
      all.push(...outcomes);
    expect(all.map((outcome) => [outcome.input, isFailure(outcome)])).toEqual([
      ['a', false],
      ['bad', true],
      ['ccc', false],
    ]);
    expect(all[1]).toEqual({
      schema_version: 2,
      input: 'bad',
      task: 'quality',
      error: { code: 'MEDIA_CORRUPT', message: 'bad is damaged.' },
    });
    expect(Check(ScoreFailureSchema, all[1])).toBe(true);
    const [first, , last] = all as [ScoreResult, unknown, ScoreResult];
    expect(last.score).toBeGreaterThan(first.score);
  });

  it('refuses a task that the model does not support, and names models that do', async () => {
    const scorer = await fakeScorer({ model: 'deqa-score' });
    await expect(scorer.score(picture('a'), { tasks: ['aesthetics'] })).rejects.toMatchObject({
      code: 'TASK_UNSUPPORTED',
      message: expect.stringMatching(/one-align/) as string,
    });
    const [outcome] = await scorer.score(picture('a', 'video'));
    expect(outcome).toMatchObject({ error: { code: 'TASK_UNSUPPORTED' } });
  });

  it('restricts a prompt to its published use', async () => {
    const scorer = await fakeScorer({ prompt: 'benchmark-iaa' });
    const [quality, aesthetics] = await scorer.score(picture('a'), { tasks: ['quality', 'aesthetics'] });
    expect(quality).toMatchObject({ error: { code: 'TASK_UNSUPPORTED' } });
    expect(aesthetics).toMatchObject({ prompt: { name: 'benchmark-iaa' } });
  });

  it('fails only one item for a lost worker, but stops when no worker can start', async () => {
    const lost = await createScorerFrom(
      fakeParts(newLog(), {
        score: async () => {
          throw new QalignError('WORKER_LOST', 'gone.');
        },
      }),
    );
    expect((await lost.score(picture('a')))[0]).toMatchObject({ error: { code: 'WORKER_LOST' } });
    const dead = await createScorerFrom(
      fakeParts(newLog(), {
        score: async () => {
          throw new QalignError('WORKER_START_FAILED', 'never.');
        },
      }),
    );
    await expect(dead.score(picture('a'))).rejects.toMatchObject({ code: 'WORKER_START_FAILED' });
  });

  it('is BRIDGE_CLOSED after its end, instead of one failure per input', async () => {
    const scorer = await fakeScorer();
    const going = scorer.scoreMany(
      ['a', 'bad', 'bad', 'bad'].map((name) => picture(name)),
      { inFlight: 1 },
    );
    await going.next();
    await scorer.close();
    await expect(going.next()).rejects.toMatchObject({ code: 'BRIDGE_CLOSED' });
    await expect(scorer.score(picture('a'))).rejects.toMatchObject({ code: 'BRIDGE_CLOSED' });
  });

  it('is CANCELLED also while the model loads', async () => {
    const parts = {
      ...fakeParts(newLog()),
      createEngine: async (): Promise<never> => {
        throw new DOMException('This operation was aborted', 'AbortError');
      },
    };
    await expect(createScorerFrom(parts, { signal: AbortSignal.abort() })).rejects.toMatchObject({ code: 'CANCELLED' });
  });

  it('stops with CANCELLED when aborted, and closes with its scope', async () => {
    const log = newLog();
    const stop = new AbortController();
    {
      await using scorer = await fakeScorer({ signal: stop.signal }, log);
      stop.abort();
      await expect(scorer.scoreMany([picture('a')]).next()).rejects.toMatchObject({ code: 'CANCELLED' });
      await expect(scorer.scoreMany(neverEnding()).next()).rejects.toMatchObject({ code: 'CANCELLED' });
    }
    expect(log.closed).toBe(1);
  });
});

describe('prompts longer than the longest sequence of the model', () => {
  const scorerWith = (most: number | null, positions: number) => {
    const parts = fakeParts(newLog(), {
      model: { ...FAKE_MODEL, max_positions: most },
      score: async ({ prompts }) => prompts.map(() => ({ logits: [1, 0, 0, 0, 0], logSumExp: 300, positions })),
    });
    return createScorerFrom(parts, { model: 'tiny-untrained' });
  };
  const warningsOf = async (most: number | null, positions: number, kind: 'image' | 'video'): Promise<unknown> =>
    (await (await scorerWith(most, positions)).score(picture('a', kind)))[0];

  it('are a warning with both numbers', async () => {
    expect(await warningsOf(2048, 2690, 'video')).toMatchObject({
      warnings: ['short', 'The prompt with its 3 frames takes 2690 positions; the model supports 2048.'],
    });
    expect(await warningsOf(80, 92, 'image')).toMatchObject({
      warnings: ['The prompt with its picture takes 92 positions; the model supports 80.'],
    });
    expect(await warningsOf(92, 92, 'image')).toMatchObject({ warnings: [] });
    expect(await warningsOf(null, 9e9, 'image')).toMatchObject({ warnings: [] });
  });

  it('are MEDIA_DOUBTFUL if warnings are refused', async () => {
    const scorer = await scorerWith(80, 92);
    expect(await scorer.score(picture('a'), { strict: true })).toMatchObject([
      { error: { code: 'MEDIA_DOUBTFUL', message: expect.stringContaining('92 positions') as string } },
    ]);
    expect(await scorer.score(picture('a', 'video'), { strict: true })).toMatchObject([
      { error: { code: 'MEDIA_DOUBTFUL', message: expect.stringContaining('short') as string } },
    ]);
  });
});

describe('the amount that is decoded at a time', () => {
  const worker = {
    device: 'cuda:0',
    pid: 1,
    state: 'ready',
    ready: true,
    oldest_batch_ms: 0,
    restarts: 0,
    rss_bytes: 0,
    latency: undefined,
  } as const;
  const statsOf = (workers: number, maxBatchFrames: number) => (): EngineStats => ({
    queued: 0,
    running: 0,
    queuedFrames: { interactive: 0, bulk: 0 },
    runningFrames: 0,
    maxBatchFrames,
    batchFrames: workers * maxBatchFrames,
    batches: 0,
    items: 0,
    frames: 0,
    workers: Array.from({ length: workers }, () => worker),
  });

  it('keeps every worker busy', async () => {
    const widthWith = async (workers: number, frames: number): Promise<number> =>
      (
        await createScorerFrom(fakeParts(newLog(), { stats: statsOf(workers, frames) }), { model: 'tiny-untrained' })
      ).width();
    expect([await widthWith(1, 16), await widthWith(1, 64), await widthWith(8, 64)]).toEqual([128, 192, 1536]);
  });

  it('is bounded for any number of callers, and bulk takes no place of an interactive picture', async () => {
    let prepared = 0;
    let open!: () => void;
    const opened = new Promise<void>((resolve) => (open = resolve));
    const parts = fakeParts(
      newLog(),
      {
        stats: statsOf(1, 16),
        score: async ({ prompts }) => (await opened, prompts.map(() => ({ logits: [1, 0, 0, 0, 0], logSumExp: 300 }))),
      },
      async () => (prepared++, { frames: 1, width: 4, height: 4, data: new Uint8Array(48), warnings: [] }),
    );
    await using scorer = await createScorerFrom(parts, { model: 'tiny-untrained' });
    const ask = (count: number, lane: 'bulk' | 'interactive') =>
      Array.from({ length: count }, () => scorer.score(picture('a'), { lane }));
    const turn = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 20));
    const all = ask(300, 'bulk');
    await turn();
    expect(prepared).toBe(128);
    all.push(...ask(300, 'interactive'));
    await turn();
    expect(prepared).toBe(256);
    open();
    expect((await Promise.all(all)).flat().filter(isFailure)).toEqual([]);
    expect(prepared).toBe(600);
  });
});

describe('inputs and options', () => {
  it('accepts paths, bytes and sources, in order', async () => {
    await using scorer = await fakeScorer();
    const names: string[] = [];
    for await (const [outcome] of scorer.scoreMany(['a', new Uint8Array(3), picture('c')]))
      names.push(outcome?.input ?? '');
    expect(names).toEqual(['a', '<bytes>', 'c']);
  });

  it('returns one outcome for one task, and a list for a list of tasks', async () => {
    await using scorer = await fakeScorer();
    const one: ScoreOutcome = await scorer.score('abc', { task: 'quality' });
    expect(isFailure(one) ? one.error : one.score).toBeGreaterThan(1);
    const [same, ...more]: ScoreOutcome[] = await scorer.score('abc', { tasks: ['quality'] });
    expect([same, more]).toEqual([one, []]);
    const bad: ScoreOutcome = await scorer.score(picture('bad'), { task: 'aesthetics' });
    expect(isFailure(bad) && bad.task).toBe('aesthetics');
    const inputs: string[] = [];
    for await (const outcome of scorer.scoreMany(['a', picture('bad'), 'c'], { task: 'quality' }))
      inputs.push(outcome.input);
    expect(inputs).toEqual(['a', 'bad', 'c']);
    for (const wrong of [{ task: 'beauty' }, { task: 'quality', tasks: ['quality'] }])
      await expect(scorer.score('a', wrong as unknown as OneTask)).rejects.toMatchObject({ code: 'USAGE' });
    const both = { task: 'quality', tasksOf: () => ['quality'] } as unknown as OneTask;
    await expect(scorer.scoreMany(['a'], both).next()).rejects.toMatchObject({ code: 'USAGE' });
  });

  it('refuses an unknown option, naming the nearest, and two ways to name a device', async () => {
    await expect(fakeScorer({ precison: 'fp32' } as ScorerOptions)).rejects.toMatchObject({
      code: 'USAGE',
      message: expect.stringContaining('precision') as string,
    });
    await expect(fakeScorer({ device: 'cpu', devices: ['cpu'] })).rejects.toMatchObject({ code: 'USAGE' });
  });
});

describe('scoreVersion', () => {
  const base = {
    weightsSha256: 'a',
    precision: 'fp32',
    promptText: 'x <|image|>',
    scale: 'mos5' as const,
    preprocessing: {
      size: 448,
      pad: [122, 116, 104],
      resize: 'pillow-bicubic' as const,
      auto_orient: false,
      fps: null,
      max_frames: null,
      frame_rule: 'auto' as const,
    },
  };
  it('is stable, and differs for everything that changes a score', () => {
    expect(scoreVersion(base)).toBe(scoreVersion(structuredClone(base)));
    expect(scoreVersion(base), 'rows of earlier versions have it').toBe('47f64d9489c58bc4');
    const others = [
      { ...base, weightsSha256: 'b' },
      ...['bf16', 'fp8', 'int8', 'nf4'].map((precision) => ({ ...base, precision })),
      { ...base, promptText: 'y' },
      { ...base, scale: 'unit' as const },
      { ...base, preprocessing: { ...base.preprocessing, views: ['whole' as const, 'native' as const] } },
      ...(
        [
          { size: 336 },
          { auto_orient: true },
          { fps: 2 },
          { max_frames: 8 },
          { frame_rule: 'published' },
          { pad: [0, 0, 0] },
        ] as const
      ).map((change) => ({
        ...base,
        preprocessing: {
          ...base.preprocessing,
          ...change,
          pad: [...('pad' in change ? change.pad : base.preprocessing.pad)],
        },
      })),
    ].map(scoreVersion);
    expect(new Set([scoreVersion(base), ...others]).size).toBe(others.length + 1);
  });
});

describe('frame curves', () => {
  it('have one score per frame and task, in the documented form, without another encoding', async () => {
    const log = newLog();
    const scorer = await fakeScorer({}, log);
    const tasks = ['quality', 'aesthetics'] as const;
    const outcomes = await scorer.score(picture('a.mp4', 'video'), { tasks, perFrame: true });
    for (const [index, outcome] of outcomes.entries()) {
      expect(Check(ScoreResultSchema, outcome)).toBe(true);
      const { frame_curve: curve } = outcome as ScoreResult;
      expect(curve?.prompt).toContain(`the ${tasks[index]} of this image?`);
      expect(curve?.scores).toHaveLength(3);
    }
    expect(log.engineCalls.map(({ frames }) => frames)).toEqual([3, 1, 1, 1, 1, 1, 1]);
    expect(await scorer.score(picture('a.png', 'image'), { perFrame: true })).not.toMatchObject([{ frame_curve: {} }]);
  });

  it('need the question of the frames, and a window of 2 to 60 frames', async () => {
    const scorer = await fakeScorer();
    const clip = picture('a.mp4', 'video');
    const tasks = ['aesthetics'] as const;
    for (const [prompt, options] of [
      ['benchmark', { perFrame: true }],
      ['benchmark-iaa', { perFrameWindow: 4 }],
    ] as const)
      await expect(scorer.score(clip, { tasks, prompt, ...options })).rejects.toMatchObject({
        code: 'TASK_UNSUPPORTED',
        message: expect.stringContaining(prompt) as string,
      });
    await expect(scorer.check({ tasks, prompt: 'benchmark-iaa', perFrame: true })).resolves.toBeUndefined();
    await expect(scorer.score(clip, { perFrameWindow: 61 })).rejects.toThrow('whole number from 2 to 60');
  });
});
