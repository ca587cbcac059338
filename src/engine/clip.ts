/**
 * Clips with more frames than a batch are sent to one worker in chunks. The worker keeps their features, not their
 * pixels, until the clip is scored. Each chunk waits in the queue like an item, so that a long clip does not block
 * others.
 */
import { randomUUID } from 'node:crypto';
import { QalignError } from '../base/errors.js';
import { isLoss, type ItemOptions } from './pool.js';
import type { ChatPrompt, ClipStep, FramePrompt, KeptClip, PromptAnswer, Visual, Work } from './queue.js';

/** A clip and its prompts. */
export interface ClipSource {
  /** Expected number of frames. The clip can yield fewer. */
  readonly frames: number;
  /** Prompts about the whole clip. */
  readonly prompts: readonly (string | ChatPrompt)[];
  /** The clip is always sent as a whole, because the model keeps no features. */
  readonly isWhole?: boolean | undefined;
  /**
   * Further prompts about parts of a clip of `frames` frames, ordered by their ranges. Their answers follow those of
   * `prompts`. They are sent after `prompts`, in messages about at most `maxFrames` frames, so that neither the clip's
   * own scores nor the memory depend on them.
   */
  readonly framePrompts?: ((frames: number) => readonly FramePrompt[]) | undefined;
  /**
   * Reads the clip from its beginning in chunks of `frames` frames; the last can be smaller. Called again after a lost
   * worker.
   */
  readonly chunks: (frames: number) => AsyncIterable<Visual>;
}

/** The part of a pool that clips need. */
export interface ClipQueue {
  /** Maximum number of frames in one message. */
  readonly maxFrames: number;
  ticket(): number;
  submit(work: Work, options: ItemOptions): Promise<PromptAnswer[]>;
}

/** Number of restarts of a clip after its worker died while processing something else. */
const MOST_FORGOTTEN = 2;

/**
 * Scores a clip. A short clip without further prompts, or one for a chat model, is sent as a whole, in a batch with
 * others. The worker keeps the features of other clips. If it dies, the clip is read again from its beginning for
 * another worker. @throws errors of `chunks`, and the QalignErrors of an item
 */
export async function scoreClip(
  queue: ClipQueue,
  source: ClipSource,
  options: ItemOptions = {},
): Promise<PromptAnswer[]> {
  if (source.isWhole === true || (source.frames <= queue.maxFrames && source.framePrompts === undefined)) {
    const visuals: Visual[] = [];
    for await (const chunk of source.chunks(Math.max(1, source.frames))) visuals.push(chunk);
    return queue.submit({ visuals, prompts: source.prompts }, options);
  }
  const placed = { ...options, ticket: options.ticket ?? queue.ticket() };
  for (let losses = 0, forgotten = 0; ;) {
    try {
      return await stream(queue, source, placed, losses > 0);
    } catch (error) {
      if (!(error instanceof QalignError)) throw error;
      if (error.code === 'CLIP_UNKNOWN') {
        if (++forgotten > MOST_FORGOTTEN)
          throw new QalignError(
            'WORKER_LOST',
            `The worker of the clip was lost ${forgotten} times; check the log for the reason.`,
            {
              cause: error,
            },
          );
      } else if (!isLoss(error) || ++losses > 1) throw error;
    }
  }
}

/** Makes one attempt. After a loss, the clip is `suspect`: a worker with one of its chunks gets no other work. */
async function stream(
  queue: ClipQueue,
  source: ClipSource,
  options: ItemOptions,
  suspect: boolean,
): Promise<PromptAnswer[]> {
  const clip: KeptClip = { id: randomUUID(), link: undefined };
  const chunks = source.chunks(queue.maxFrames)[Symbol.asyncIterator]();
  let at = 0;
  try {
    let reading = chunks.next();
    for (let step = await reading; step.done !== true; step = await reading) {
      reading = chunks.next(); // decoded while the worker encodes the current chunk
      reading.catch(() => {});
      at = await encode(queue, clip, step.value, at, suspect, options);
    }
    const ask = (prompts: Work['prompts'], more: Partial<ClipStep> = {}): Promise<PromptAnswer[]> =>
      queue.submit({ visuals: [], prompts, suspect, step: { kind: 'score', clip, at, ...more } }, options);
    const answers = await ask(source.prompts);
    for (const { prompts, range } of inMessages(source.framePrompts?.(at) ?? [], queue.maxFrames))
      answers.push(...(await ask(prompts, { range, isFurther: true })));
    return answers;
  } finally {
    // not awaited: in the middle of a chunk, `return` resolves only after the chunk
    void Promise.resolve(chunks.return?.()).catch(() => {});
    if (clip.link !== undefined) release(queue, clip);
  }
}

/**
 * Groups prompts for messages about at most `most` frames, a longer prompt alone. The ranges of the prompts then count
 * from the start of the message's range.
 */
function inMessages(
  prompts: readonly FramePrompt[],
  most: number,
): { readonly prompts: FramePrompt[]; readonly range: readonly [number, number] }[] {
  const groups: FramePrompt[][] = [];
  let asked = Infinity;
  for (const prompt of prompts) {
    const [from, to] = prompt.frames;
    asked += to - from;
    if (asked > most) {
      groups.push([]);
      asked = to - from;
    }
    groups.at(-1)?.push(prompt);
  }
  return groups.map((group) => {
    const start = Math.min(...group.map(({ frames: [from] }) => from));
    const end = Math.max(...group.map(({ frames: [, to] }) => to));
    const own = group.map(({ text, frames: [from, to] }) => ({ text, frames: [from - start, to - start] as const }));
    return { prompts: own, range: [start, end] as const };
  });
}

/**
 * Sends a chunk, or its halves if the worker runs out of memory. Returns the number of frames that the worker now
 * keeps.
 */
async function encode(
  queue: ClipQueue,
  clip: KeptClip,
  chunk: Visual,
  at: number,
  suspect: boolean,
  options: ItemOptions,
): Promise<number> {
  try {
    await queue.submit({ visuals: [chunk], prompts: [], suspect, step: { kind: 'encode', clip, at } }, options);
    return at + chunk.frames;
  } catch (error) {
    const small = chunk.frames === 1 || (error as QalignError).code !== 'OUT_OF_MEMORY';
    if (small) throw error;
    let kept = at;
    for (const half of halves(chunk)) kept = await encode(queue, clip, half, kept, suspect, options);
    return kept;
  }
}

function halves({ frames, data }: Visual): Visual[] {
  const first = Math.ceil(frames / 2);
  const bytes = (data.length / frames) * first;
  // copies, because sent data must not share memory
  return [
    { frames: first, data: data.slice(0, bytes) },
    { frames: frames - first, data: data.slice(bytes) },
  ];
}

/**
 * Releases a clip before all waiting work, even if the caller has aborted. Unnecessary after a lost worker or a closed
 * pool.
 */
function release(queue: ClipQueue, clip: KeptClip): void {
  const work: Work = { visuals: [], prompts: [], step: { kind: 'release', clip, at: 0 } };
  queue.submit(work, { lane: 'interactive', ticket: 0 }).catch(() => {});
}
