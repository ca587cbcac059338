import type { Lane } from '../../base/lane.js';
import { createPriorityGate, type PriorityGate } from '../../base/priority-gate.js';
import type { EngineStats } from '../../engine/index.js';
import type { Kind } from '../../prompts/subject.js';

/** Limit of clips that are decoded or waiting at a time, because each holds many frames. */
const CLIPS_IN_FLIGHT = 2;
/** One batch is computed, one waits at the worker, one is being filled. */
const BATCHES_IN_FLIGHT = 3;
const LEAST_IN_FLIGHT = 128;
/** Windows of one picture that are prepared at a time: 19 MB at 448 px. */
export const WINDOWS_AT_A_TIME = 32;
/** Pictures with maps at a time. With 9 windows each, they fill a batch of 64. */
const LEAST_MAPS = 8;

/** Bounds the memory of a scorer: inputs over the limit wait before they are decoded. */
export interface InFlight {
  /** Number of pictures, decoded or waiting for the model, that keeps every worker busy. */
  width(): number;
  /**
   * Runs `work`, from decoding to the answer, once an input of this kind is within the limit. `map`: a picture with its
   * windows.
   */
  pass<T>(kind: Kind | 'map', lane: Lane, work: () => Promise<T>, signal: AbortSignal | undefined): Promise<T>;
  /** Number of pictures that wait to be decoded. */
  waiting(lane: Lane): number;
}

export function createInFlight(stats: () => EngineStats | undefined): InFlight {
  const width = (): number => {
    const { maxBatchFrames, workers } = stats() ?? { maxBatchFrames: 0, workers: [] };
    return Math.max(LEAST_IN_FLIGHT, BATCHES_IN_FLIGHT * maxBatchFrames * workers.length);
  };
  // one gate per lane, so that bulk pictures never take the places of interactive ones
  const pictures = { interactive: createPriorityGate(width), bulk: createPriorityGate(width) };
  const maps = {
    interactive: createPriorityGate(() => mapsAtATime(width())),
    bulk: createPriorityGate(() => mapsAtATime(width())),
  };
  const clips = createPriorityGate(CLIPS_IN_FLIGHT);
  const gateOf = (kind: Kind | 'map', lane: Lane): PriorityGate =>
    kind === 'video' ? clips : (kind === 'map' ? maps : pictures)[lane];
  return {
    width,
    pass: (kind, lane, work, signal) => gateOf(kind, lane).pass(lane, work, signal),
    waiting: (lane) => pictures[lane].waiting(lane) + maps[lane].waiting(lane),
  };
}

const mapsAtATime = (width: number): number => Math.max(LEAST_MAPS, Math.ceil(width / WINDOWS_AT_A_TIME));
