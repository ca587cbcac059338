import { join } from 'node:path';
import { afterEach, expect, it } from 'vitest';
import { packageRoot } from '../../src/base/package-root.js';
import {
  createEngine,
  type ClipSource,
  type Engine,
  type EngineOptions,
  type PromptAnswer,
} from '../../src/engine/index.js';
import { ensurePython } from '../../src/engine/python/environment.js';

const PROMPT = 'USER: How would you rate the quality of this video?\n<|image|>\nASSISTANT: The quality of the video is';
const BYTES = 56 * 56 * 3;
const python = await ensurePython();

let engine: Engine | undefined;
afterEach(async () => {
  await engine?.close();
  engine = undefined;
});

async function start(options: Partial<EngineOptions> = {}): Promise<Engine> {
  const path = `${python.env['PYTHONPATH']}:${join(packageRoot, 'test/fixtures')}`;
  engine = await createEngine({
    python: { ...python, env: { ...python.env, PYTHONPATH: path, OMP_NUM_THREADS: '1' } },
    model: join(packageRoot, 'test/fixtures/golden/tiny_a/model'),
    devices: ['cpu'],
    precision: 'fp32',
    workerModule: 'faulty_worker',
    maxBatchFrames: 5,
    ...options,
  });
  return engine;
}

const pixels = (frames: number): Uint8Array =>
  new Uint8Array(frames * BYTES).map((_, i) => (Math.floor(i / BYTES) * 37 + i * 7) % 251);

/** A clip in memory; `between` runs before each chunk. */
function clipOf(frames: number, between: (chunk: number) => Promise<void> | void = () => {}): ClipSource {
  return {
    frames,
    prompts: [PROMPT, PROMPT.replaceAll('quality', 'aesthetics')],
    async *chunks(most) {
      const data = pixels(frames);
      for (let at = 0, chunk = 0; at < frames; at += most, chunk++) {
        await between(chunk);
        const count = Math.min(most, frames - at);
        yield { frames: count, data: data.slice(at * BYTES, (at + count) * BYTES) };
      }
    },
  };
}

async function whole(engine: Engine, frames: number): Promise<PromptAnswer[]> {
  const { prompts } = clipOf(frames);
  return engine.score({ visuals: [{ frames, data: pixels(frames) }], prompts });
}

function expectSame(got: readonly PromptAnswer[], wanted: readonly PromptAnswer[]): void {
  const far = wanted.flatMap(({ logits }, i) => logits.map((logit, k) => Math.abs(logit - got[i]!.logits[k]!)));
  expect(Math.max(...far)).toBeLessThan(1e-5);
  expect(got.map(({ positions }) => positions)).toEqual(wanted.map(({ positions }) => positions));
}

/** Sends a request to the worker after all earlier messages. */
const keptAt = (engine: Engine): Promise<string> =>
  engine.score({ visuals: [{ frames: 1, data: pixels(1) }], prompts: [`${PROMPT} FAULT kept`] }).then(
    () => '',
    (error: Error) => error.message,
  );

it('a clip in chunks scores like the whole clip, on two workers and beside pictures', async () => {
  const engine = await start({ devices: ['cpu', 'cpu'] });
  const wanted = new Map<number, PromptAnswer[]>();
  for (const frames of [6, 12, 23]) wanted.set(frames, await whole(engine, frames));
  const answers = await Promise.all([6, 12, 23, 12].map((frames) => engine.scoreClip(clipOf(frames))));
  for (const [i, frames] of [6, 12, 23, 12].entries()) expectSame(answers[i]!, wanted.get(frames)!);
  expectSame(await engine.scoreClip(clipOf(3)), await whole(engine, 3));
  expect(engine.stats()).toMatchObject({ queued: 0, running: 0 });
  await expect.poll(() => keptAt(engine)).toBe('kept: 0 clips');
}, 120_000);

it('when a worker is killed in the middle, the clip is read again and scored', async () => {
  const engine = await start();
  const wanted = await whole(engine, 23);
  let killed = 0;
  const kill = (chunk: number): void => {
    if (chunk === 3 && killed++ === 0) process.kill(engine.stats().workers[0]!.pid!, 'SIGKILL');
  };
  expectSame(await engine.scoreClip(clipOf(23, kill)), wanted);
  expect(killed).toBe(2);
  const always = (chunk: number): void => {
    const pid = engine.stats().workers[0]?.pid;
    if (chunk === 2 && pid !== undefined) process.kill(pid, 'SIGKILL');
  };
  await expect(engine.scoreClip(clipOf(23, always))).rejects.toMatchObject({ code: 'WORKER_LOST' });
  expectSame(await engine.scoreClip(clipOf(23)), wanted);
  expect(await keptAt(engine)).toBe('kept: 0 clips');
}, 240_000);

it('an abort in the middle and a failing reader leave no frames at the worker', async () => {
  const engine = await start();
  const stop = new AbortController();
  const seen: string[] = [];
  const abort = async (chunk: number): Promise<void> => {
    if (chunk === 3) seen.push(await keptAt(engine));
    if (chunk === 3) stop.abort();
  };
  await expect(engine.scoreClip(clipOf(50, abort), { signal: stop.signal })).rejects.toMatchObject({
    code: 'CANCELLED',
  });
  expect(seen).toEqual(['kept: 1 clips']);
  await expect.poll(() => keptAt(engine)).toBe('kept: 0 clips');
  const fail = (chunk: number): void => {
    if (chunk === 3) throw new RangeError('torn');
  };
  await expect(engine.scoreClip(clipOf(50, fail))).rejects.toThrow('torn');
  await expect.poll(() => keptAt(engine)).toBe('kept: 0 clips');
}, 120_000);

it('closing ends a running clip', async () => {
  const engine = await start();
  let closing: Promise<void> | undefined;
  const close = (chunk: number): void => {
    if (chunk === 2) closing = engine.close();
  };
  await expect(engine.scoreClip(clipOf(50, close))).rejects.toMatchObject({ code: 'BRIDGE_CLOSED' });
  await closing;
}, 120_000);
