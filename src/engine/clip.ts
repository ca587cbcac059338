/**
 * Clips of more frames than a batch holds go to one worker chunk by chunk. It keeps their features, not their pixels,
 * until the clip is scored. Each chunk waits in the queue like an item, so that a long clip holds nobody up.
 */
import { randomUUID } from 'node:crypto';
import { QalignError } from '../base/errors.js';
import { isLoss, type ItemOptions } from './pool.js';
import type { KeptClip, PromptAnswer, Visual, Work } from './queue.js';

/** A clip, and what is asked about it. */
export interface ClipSource {
  /** Frames that are expected; fewer may come. */
  readonly frames: number;
  readonly prompts: readonly string[];
  /** The clip from its beginning, in chunks of so many frames but the last. Read again when a worker is lost. */
  readonly chunks: (frames: number) => AsyncIterable<Visual>;
}

/** What of a pool clips need. */
export interface ClipQueue {
  /** Frames of one message at most. */
  readonly maxFrames: number;
  ticket(): number;
  submit(work: Work, options: ItemOptions): Promise<PromptAnswer[]>;
}

/** Times that a clip is begun again because its worker died under something else. */
const MOST_FORGOTTEN = 2;

/**
 * A short clip goes whole, in a batch with others. A clip whose worker dies is read once more from its beginning, for
 * another worker. @throws what `chunks` throws, and the QalignErrors of an item
 */
export async function scoreClip(
  queue: ClipQueue,
  source: ClipSource,
  options: ItemOptions = {},
): Promise<PromptAnswer[]> {
  if (source.frames <= queue.maxFrames) {
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
          throw new QalignError('WORKER_LOST', `The clip was lost with its worker ${forgotten} times.`, {
            cause: error,
          });
      } else if (!isLoss(error) || ++losses > 1) throw error;
    }
  }
}

/** One attempt. After a loss it is `suspect`: while a chunk of it is on a worker, nothing else is. */
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
      reading = chunks.next(); // is decoded while the worker encodes this one
      reading.catch(() => {});
      at = await encode(queue, clip, step.value, at, suspect, options);
    }
    const ask: Work = { visuals: [], prompts: source.prompts, suspect, step: { kind: 'score', clip, at } };
    return await queue.submit(ask, options);
  } finally {
    // not awaited: a source in the middle of a chunk answers only after it
    void Promise.resolve(chunks.return?.()).catch(() => {});
    if (clip.link !== undefined) release(queue, clip);
  }
}

/** Sends a chunk, in halves where the worker has no memory for it. → frames that the worker keeps now. */
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
  // copies: what is sent must not share memory with anything
  return [
    { frames: first, data: data.slice(0, bytes) },
    { frames: frames - first, data: data.slice(bytes) },
  ];
}

/** Ahead of all that waits, whether or not anybody still wants the clip. A lost worker or a closed pool needs none. */
function release(queue: ClipQueue, clip: KeptClip): void {
  const work: Work = { visuals: [], prompts: [], step: { kind: 'release', clip, at: 0 } };
  queue.submit(work, { lane: 'interactive', ticket: 0 }).catch(() => {});
}
