import type { Lane } from '../../../base/lane.js';
import { createPriorityGate } from '../../../base/priority-gate.js';
import type { EngineStats } from '../../../engine/index.js';
import type { Kind } from '../../../prompts/subject.js';

/** One batch is computed, one waits at the worker, one is being filled. */
const BATCHES_IN_FLIGHT = 3;
const LEAST_IN_FLIGHT = 128;

/** Bounds the memory of the pictures of a scorer: inputs over the limit wait before they are decoded. */
export interface InFlight {
  /** Number of pictures, decoded or waiting for the model, that keeps every worker busy. */
  width(): number;
  /**
   * Runs `work`, from decoding to the answer, once an input of this kind is within the limit. Clips do not wait here:
   * their limit depends on their frames (see gateClips).
   */
  pass<T>(kind: Kind, lane: Lane, work: () => Promise<T>, signal: AbortSignal | undefined): Promise<T>;
  /** Number of pictures that wait to be decoded. */
  waiting(lane: Lane): number;
}

export function createInFlight(stats: () => EngineStats | undefined): InFlight {
  const width = (): number => {
    return Math.max(LEAST_IN_FLIGHT, BATCHES_IN_FLIGHT * (stats()?.batchFrames ?? 0));
  };
  // one gate per lane, so that bulk pictures never take the places of interactive ones
  const pictures = { interactive: createPriorityGate(width), bulk: createPriorityGate(width) };
  return {
    width,
    pass: (kind, lane, work, signal) => (kind === 'video' ? work() : pictures[lane].pass(lane, work, signal)),
    waiting: (lane) => pictures[lane].waiting(lane),
  };
}
