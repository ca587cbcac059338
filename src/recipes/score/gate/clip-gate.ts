import { availableParallelism } from 'node:os';
import { createPriorityGate } from '../../../base/priority-gate.js';
import type { EngineStats } from '../../../engine/index.js';
import type { ClipReader } from '../../../media/preparer.js';
import type { ScoringPreparer } from '../scorer.js';

/** One batch is computed, one waits at the worker, and two are decoded, because a clip claims its frames early. */
const BATCHES_OF_CLIPS = 4;
/** One chunk of a long clip is encoded while the next is decoded. */
const CHUNKS_OF_CLIP = 2;
/** Frames of the clips of one lane: 77 MB at 448 px. */
const LEAST_FRAMES = 128;

/** Number of clips that ffmpeg or ffprobe read at a time. Each process uses several threads. */
const decodersOf = (cores: number): number => Math.max(2, Math.floor(cores / 2));

/**
 * Bounds the prepared frames in memory. A clip claims its frames after ffprobe has counted them, and holds them until
 * its reader is closed. A clip that holds frames waits only for ffmpeg, and ffmpeg waits for no clip, so every clip can
 * finish.
 */
export function gateClips(
  preparer: ScoringPreparer,
  stats: () => EngineStats | undefined,
  cores = availableParallelism(),
): ScoringPreparer {
  const most = (): number => Math.max(LEAST_FRAMES, BATCHES_OF_CLIPS * (stats()?.batchFrames ?? 0));
  const width = decodersOf(cores);
  const decoders = createPriorityGate(width);
  // one gate per lane, so that bulk clips never take the places of interactive ones
  const frames = { interactive: createPriorityGate(most), bulk: createPriorityGate(most) };
  // a clip that waits for frames or for ffmpeg keeps the times of its packets
  const opening = { interactive: createPriorityGate(width), bulk: createPriorityGate(width) };

  return {
    ...preparer,
    open: (source, options) => {
      const { lane = 'bulk', signal } = options;
      const turn = (): Promise<() => void> => decoders.enter(lane, signal);
      const claim = (count: number): Promise<() => void> => {
        const chunk = stats()?.maxBatchFrames ?? count;
        return frames[lane].enter(lane, signal, Math.max(1, Math.min(count, CHUNKS_OF_CLIP * chunk)));
      };
      const open = async (): Promise<ClipReader> => {
        const clip = await decoders.pass(lane, () => preparer.open(source, options), signal);
        let giveBack = (): void => {};
        try {
          giveBack = await claim(Math.ceil(clip.frames * (clip.frameCost ?? 1)));
          return inTurns(clip, await turn(), turn, giveBack);
        } catch (error) {
          giveBack();
          await clip.close();
          throw error;
        }
      };
      return opening[lane].pass(lane, open, signal);
    },
  };
}

/**
 * Takes a turn for every chunk and leaves before the chunk is used, so that a clip with a slow worker does not block
 * others. @param first the turn of the first chunk, already taken
 */
function inTurns(
  clip: ClipReader,
  first: () => void,
  turn: () => Promise<() => void>,
  giveBack: () => void,
): ClipReader {
  let taken: (() => void) | undefined = first;
  let closed = false;
  async function* chunks(most: number): ReturnType<ClipReader['chunks']> {
    const isOneChunk = clip.frames <= most; // its reader continues at once, to the end
    let leave = taken ?? (await turn());
    taken = undefined;
    const reading = clip.chunks(most)[Symbol.asyncIterator]();
    try {
      for (let step = await reading.next(); step.done !== true && !closed; step = await reading.next()) {
        if (!isOneChunk) leave();
        yield step.value;
        if (!isOneChunk) leave = await turn();
      }
    } finally {
      leave();
      await reading.return?.();
    }
  }
  const close = async (): Promise<void> => {
    closed = true;
    taken?.();
    await clip.close().finally(giveBack);
  };
  // inherits the properties that change while the clip is read
  return Object.assign(Object.create(clip) as ClipReader, { chunks, close });
}
